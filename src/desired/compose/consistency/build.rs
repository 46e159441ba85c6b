//! Checks how services are built.

use super::{Checks, Service};
use crate::yaml::Node;

impl Checks<'_> {
    pub(super) fn build(&mut self, service: Service<'_>) {
        let is_set = |key| service.text(&["build", key]).is_some();
        if is_set("dockerfile") && is_set("dockerfile_inline") {
            let message = "dockerfile and dockerfile_inline can't both be set";
            self.refuse(
                service,
                &["build", "dockerfile"],
                message,
                "take one of them out",
            );
        }
        let contexts = service.entries(&["build", "additional_contexts"]);
        for context in contexts {
            let target = context
                .value
                .as_str()
                .and_then(|text| text.strip_prefix("service:"));
            self.context(service, &context.key, target);
        }
        let platforms = service.items(&["build", "platforms"]);
        if let Some(platform) = service.text(&["platform"])
            && !platforms.is_empty()
            && !platforms.iter().any(|one| one.as_str() == Some(platform))
        {
            let message = format!("the platform {platform} is not among build.platforms");
            self.refuse(service, &["platform"], &message, "add it there");
        }
    }

    fn context(&mut self, service: Service<'_>, context: &str, target: Option<&str>) {
        let Some(target) = target else { return };
        let path = ["build", "additional_contexts", context];
        match self.service(target) {
            None => self.undefined(service, "service", "services", target, &path),
            Some(other) if other.at(&["build"]).is_none_or(Node::is_null) => {
                let message =
                    format!("the build context {context} is service {target}, which is not built");
                let hint = format!("give {target} a build, or name a folder");
                self.refuse(service, &path, &message, &hint);
            }
            Some(_) => {}
        }
    }
}
