//! Checks numbers that can be said in two places.

use super::{Checks, Service};
use crate::desired::compose::short;
use crate::yaml::{Kind, Node};

/// A limit that has two places: the old key of a service, and the one under `deploy.resources`.
struct Limit {
    key: &'static str,
    part: &'static str,
    deploy_key: &'static str,
    read: fn(&Node) -> Option<f64>,
}

const LIMITS: [Limit; 4] = [
    Limit {
        key: "cpus",
        part: "limits",
        deploy_key: "cpus",
        read: number,
    },
    Limit {
        key: "mem_limit",
        part: "limits",
        deploy_key: "memory",
        read: bytes,
    },
    Limit {
        key: "mem_reservation",
        part: "reservations",
        deploy_key: "memory",
        read: bytes,
    },
    Limit {
        key: "pids_limit",
        part: "limits",
        deploy_key: "pids",
        read: number,
    },
];

impl Checks<'_> {
    pub(super) fn limits(&mut self, service: Service<'_>) {
        for limit in &LIMITS {
            self.limit(service, limit);
        }
        let scale = service.get(&["scale"]).and_then(number);
        let replicas = service.get(&["deploy", "replicas"]).and_then(number);
        if let (Some(scale), Some(replicas)) = (scale, replicas)
            && !same(scale, replicas)
        {
            let message = format!("scale is {scale} and deploy.replicas is {replicas}");
            self.refuse(service, &["scale"], &message, "take one of them out");
        }
        for (path, number) in [(&["scale"][..], scale), (&["deploy", "replicas"], replicas)] {
            if number.is_some_and(|number| number < 0.0) {
                let message = format!("{} must not be negative", path.join("."));
                self.refuse(service, path, &message, "write 0 or more");
            }
        }
        let count = scale.or(replicas).unwrap_or(1.0);
        if count > 1.0 && service.text(&["container_name"]).is_some() {
            let message = format!("{count} containers can't have one container_name");
            self.refuse(
                service,
                &["container_name"],
                &message,
                "take container_name out",
            );
        }
    }

    fn limit(&mut self, service: Service<'_>, limit: &Limit) {
        let own = service.get(&[limit.key]).and_then(limit.read);
        let Some(own) = own.filter(|own| !same(*own, 0.0)) else {
            return;
        };
        if service.get(&["deploy", "resources", limit.part]).is_none() {
            return;
        }
        let path = ["deploy", "resources", limit.part, limit.deploy_key];
        let other = service.get(&path).and_then(limit.read).unwrap_or(0.0);
        if !same(own, other) {
            let message = format!("{} and {} differ", limit.key, path.join("."));
            self.refuse(
                service,
                &[limit.key],
                &message,
                "say the same in both, or take this one out",
            );
        }
    }
}

/// Gives `deploy.replicas` the number that `scale` has.
pub(super) fn settle_replicas(project: &mut Node) {
    let Kind::Map(top) = &mut project.kind else {
        return;
    };
    let Some(Kind::Map(services)) = top.get_mut("services").map(|node| &mut node.kind) else {
        return;
    };
    for service in services {
        let Kind::Map(service) = &mut service.value.kind else {
            continue;
        };
        let scale = service
            .get("scale")
            .filter(|scale| !scale.is_null())
            .cloned();
        if let Some(scale) = scale
            && let Some(Kind::Map(deploy)) = service.get_mut("deploy").map(|node| &mut node.kind)
        {
            deploy.insert("replicas", scale.position, scale);
        }
    }
}

fn number(node: &Node) -> Option<f64> {
    node.go_string()?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes beyond 8 PiB compare well enough"
)]
fn bytes(node: &Node) -> Option<f64> {
    short::parse_bytes(&node.go_string()?)
        .ok()
        .map(|bytes| bytes as f64)
}

/// Compose keeps processors as a `float32`.
#[expect(clippy::cast_possible_truncation, reason = "what Compose compares")]
fn same(a: f64, b: f64) -> bool {
    (a as f32).total_cmp(&(b as f32)).is_eq()
}
