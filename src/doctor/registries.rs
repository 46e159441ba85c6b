//! Looks whether images can be had, and the logins of the registries that they come from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::stack::Stack;
use super::{Area, Check, Diagnosis, Verdict, mend};
use crate::engine::reference::Reference;
use crate::host::View;
use crate::observe::ImageState;
use crate::registries::{LoginError, Logins};

/// Images of one registry.
#[derive(Default)]
struct Wanted {
    /// That are on the host already.
    here: BTreeSet<String>,
    /// That it lets us have.
    had: BTreeSet<String>,
    /// That it does not let us have.
    denied: BTreeSet<String>,
    /// Of which nobody can say.
    unknown: BTreeSet<String>,
}

/// Looks at every registry that images of the stacks come from.
pub(super) async fn check(view: &View, stacks: &[Stack], engine: bool, found: &mut Diagnosis) {
    let mut registries: BTreeMap<String, Wanted> = BTreeMap::new();
    for stack in stacks {
        for service in stack.desired.services.values() {
            let image = &service.spec.image;
            let Ok(reference) = Reference::parse(image) else {
                continue;
            };
            let wanted = registries
                .entry(reference.registry().to_owned())
                .or_default();
            let looked = stack.looked.as_ref();
            let state = looked.and_then(|looked| looked.observed.images.get(image));
            let kind = match state {
                Some(ImageState::Here(_) | ImageState::NotPulled) => &mut wanted.here,
                Some(ImageState::Remote { .. } | ImageState::Moved { .. }) => &mut wanted.had,
                Some(ImageState::Denied { .. }) => &mut wanted.denied,
                Some(ImageState::Missing { .. } | ImageState::Unknown { .. }) | None => {
                    &mut wanted.unknown
                }
            };
            kind.insert(image.clone());
        }
    }
    let file = view
        .config
        .registries
        .as_ref()
        .map(|one| one.config.clone());
    let logins = Logins::new(file.clone(), view.redactor.clone());
    for (registry, wanted) in &registries {
        let of_it = logins.of(registry).await;
        let check = judge(
            registry,
            wanted,
            of_it.as_ref().map(Option::is_some),
            engine,
            file.as_deref(),
        );
        found.add(check);
        let is_private = !wanted.denied.is_empty();
        if file.is_none() && is_private {
            let check = Check::missing(Area::Registries, "registries");
            let check = check.found("the settings name no file with logins");
            found.add(check.mended_by(
                "write into the settings: registries: {config: /root/.docker/config.json}",
            ));
        }
    }
}

fn judge(
    registry: &str,
    wanted: &Wanted,
    login: Result<bool, &LoginError>,
    engine: bool,
    file: Option<&Path>,
) -> Check {
    let listed = |images: &BTreeSet<String>| {
        let images: Vec<&str> = images.iter().map(String::as_str).collect();
        images.join(", ")
    };
    let check = |verdict| Check::new(Area::Registries, registry, verdict);
    let is_here = wanted.had.is_empty() && wanted.denied.is_empty() && wanted.unknown.is_empty();
    let has_login = match login {
        Ok(has_login) => has_login,
        Err(error) => {
            // What is here needs nobody's login.
            let verdict = if is_here {
                Verdict::Warn
            } else {
                Verdict::Missing
            };
            return check(verdict)
                .found(error.to_string())
                .mended_by(helped(error, registry, file));
        }
    };
    if !wanted.denied.is_empty() {
        let how = if has_login {
            "its login is not enough for"
        } else {
            "there is no login for it, and it does not let this host have"
        };
        return check(Verdict::Missing)
            .found(format!("{how} {}", listed(&wanted.denied)))
            .mended_by(mend::log_in(registry, file));
    }
    let how = if has_login { "a login" } else { "no login" };
    if is_here {
        return check(Verdict::Ok).found(format!("{how}; all images are on this host"));
    }
    if !engine && !has_login {
        return check(Verdict::Warn)
            .found("no login; whether one is needed is not known without the engine")
            .mended_by(mend::log_in(registry, file));
    }
    if engine && wanted.had.is_empty() && !wanted.unknown.is_empty() {
        return check(Verdict::Warn).found(format!(
            "{how}; it does not say whether it has {}",
            listed(&wanted.unknown)
        ));
    }
    check(Verdict::Ok).found(how)
}

fn helped(error: &LoginError, registry: &str, file: Option<&Path>) -> String {
    match error {
        LoginError::Read { .. } => mend::log_in(registry, file),
        LoginError::Unusable { path, .. } => mend::protect(path),
        LoginError::Helper { program, .. } => {
            format!(
                "install {program} where PATH leads, or: {}",
                mend::log_in(registry, file)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(of: impl Fn(&mut Wanted) -> &mut BTreeSet<String>) -> Wanted {
        let mut wanted = Wanted::default();
        of(&mut wanted).insert("r.example/app:v1".to_owned());
        wanted
    }

    #[test]
    fn a_login_is_asked_for_where_one_is_needed() {
        let denied = judge(
            "r.example",
            &wanted(|one| &mut one.denied),
            Ok(false),
            true,
            None,
        );
        assert_eq!(denied.verdict, Verdict::Missing);
        assert_eq!(denied.remedy.as_deref(), Some("docker login r.example"));
        let wrong = judge(
            "r.example",
            &wanted(|one| &mut one.denied),
            Ok(true),
            true,
            None,
        );
        assert!(wrong.found.starts_with("its login is not enough"));
        for (of, login, engine, verdict) in [
            (wanted(|one| &mut one.here), false, true, Verdict::Ok),
            (wanted(|one| &mut one.had), false, true, Verdict::Ok),
            (wanted(|one| &mut one.had), true, true, Verdict::Ok),
            (wanted(|one| &mut one.unknown), false, true, Verdict::Warn),
            (wanted(|one| &mut one.unknown), false, false, Verdict::Warn),
            (wanted(|one| &mut one.unknown), true, false, Verdict::Ok),
        ] {
            let check = judge("r.example", &of, Ok(login), engine, None);
            assert_eq!(check.verdict, verdict, "{check:?}");
        }
    }
}
