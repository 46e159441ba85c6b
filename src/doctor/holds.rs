//! Takes from the plan of a stack what keeps it from being carried out.

use super::stack::Stack;
use super::{Area, Check, Diagnosis, Verdict};
use crate::engine::api::ApiVersion;
use crate::host::View;
use crate::observe::ObservedState;
use crate::plan::{self, Hold, NotPermitted, Weight};
use crate::policy::{self, RealPaths};

/// Says what the plan of a stack is held for.
pub(super) fn check(view: &View, stack: &Stack, found: &mut Diagnosis) {
    let holds = match &stack.looked {
        Some(looked) => looked.plan.holds.clone(),
        None => without_engine(view, stack),
    };
    for hold in &holds {
        if let Hold::NotPermitted(refused) = hold {
            not_permitted(stack, refused, found);
        } else if let Some(check) = of_hold(hold) {
            // What is held for another reason may not be, once its values are known.
            if check.verdict == Verdict::Missing || !stack.is_supposed {
                found.add(check.of(&stack.name));
            }
        }
    }
}

/// Returns what the settings do not permit, where nobody can ask the engine.
fn without_engine(view: &View, stack: &Stack) -> Vec<Hold> {
    let desired = &stack.desired;
    let specs = desired.services.values().map(|service| &service.spec);
    let named = desired.named.places.iter();
    let named = named.filter_map(|place| place.path.to_str());
    let places = specs.flat_map(policy::sources_of).chain(named);
    // As good as any: what the engine is too old for is another finding.
    let newest = ApiVersion {
        major: 1,
        minor: 99,
    };
    let observed = ObservedState {
        real: RealPaths::of(places),
        ..ObservedState::bare(newest)
    };
    let policy = view.policy();
    let context = view.context(&policy, view.clock.now().as_second());
    let plan = plan::plan(desired, &observed, &plan::History::default(), &context);
    let holds = plan.holds.into_iter();
    holds
        .filter(|hold| matches!(hold, Hold::NotPermitted(_)))
        .collect()
}

fn not_permitted(stack: &Stack, refused: &NotPermitted, found: &mut Diagnosis) {
    for one in &refused.refused {
        let at = one.at.as_ref().map(|at| format!(" ({at})"));
        let subject = format!("{}{}", one.of, at.unwrap_or_default());
        let check = Check::missing(Area::Stack, subject).of(&stack.name);
        let what = format!("{}: {}", one.refusal.key, one.refusal.what);
        let check = check.found(format!("{what} is not permitted by the settings"));
        found.add(match &one.refusal.setting {
            Some(setting) => check.mended_by(format!(
                "permit it in the settings: {setting}   # beside what the key has by now: a list \
                 takes the place of the one before"
            )),
            None => check.mended_by("no setting permits it: take it out of the stack"),
        });
    }
}

/// Returns the check for a hold; `None` for what is said elsewhere, or is for `moored status`.
fn of_hold(hold: &Hold) -> Option<Check> {
    let text = hold.to_string();
    let (subject, remedy) = subject_and_remedy(hold)?;
    let verdict = match (hold.weight(), remedy.is_lack) {
        (Weight::Notice, false) => return None,
        (Weight::Passing | Weight::Blocking, true) => Verdict::Missing,
        (Weight::Notice, true) | (Weight::Passing | Weight::Blocking, false) => Verdict::Warn,
    };
    let check = Check::new(Area::Stack, subject, verdict).found(text);
    Some(Check {
        remedy: remedy.command,
        ..check
    })
}

/// What can be done about a hold.
struct Remedy {
    /// Whether the host lacks something; else it is held for another reason.
    is_lack: bool,
    command: Option<String>,
}

fn subject_and_remedy(hold: &Hold) -> Option<(String, Remedy)> {
    let lack = |subject: &str, command: Option<String>| {
        let remedy = Remedy {
            is_lack: true,
            command,
        };
        Some((subject.to_owned(), remedy))
    };
    match hold {
        // With its registry.
        Hold::ImageDenied { .. } | Hold::NotPermitted(_) => None,
        Hold::ImageMissing { image, .. } | Hold::ImageUnknown { image, .. } => lack(image, None),
        Hold::ImageNotPulled { image } => lack(image, Some(format!("docker pull {image}"))),
        Hold::ExternalMissing { kind, name } => {
            lack(name, Some(format!("docker {kind} create {name}")))
        }
        Hold::NameTaken { name, .. } => {
            lack(name, Some(format!("docker rename {name} {name}.theirs")))
        }
        Hold::NotAdopted {
            stack, container, ..
        } => lack(container, Some(format!("moored adopt {stack}"))),
        Hold::OtherInstance { container, .. } => lack(container, None),
        Hold::NetworkTaken { name } => lack(
            name,
            Some(format!("docker network inspect {name}   # whose is it?")),
        ),
        Hold::EngineTooOld { .. } => lack("engine", None),
        Hold::ProxyMissing { container } => {
            lack(container, Some(format!("docker start {container}")))
        }
        Hold::ProxyNotMounted { path, .. } => lack(path, None),
        Hold::ProxyAway { proxy, .. } => lack(&proxy.to_string(), None),
        Hold::FailedRevision { .. }
        | Hold::HistoryRewritten(_)
        | Hold::NotTrusted(_)
        | Hold::NotLoadable(_)
        | Hold::Waits(_)
        | Hold::Stuck { .. }
        | Hold::Stays { .. }
        | Hold::SchemaDiffers { .. }
        | Hold::MigrationInDoubt { .. }
        | Hold::DataIsOlder { .. }
        | Hold::MaintenanceByHand { .. }
        | Hold::MaintenanceForgotten { .. }
        | Hold::BackupLate { .. }
        | Hold::Pinned { .. }
        | Hold::Crashes { .. }
        | Hold::DoesNotSettle { .. }
        | Hold::RegistrySilent { .. }
        | Hold::TagMoved { .. }
        | Hold::NetworkInUse { .. }
        | Hold::Differs { .. }
        | Hold::DriftReported { .. }
        | Hold::Orphan { .. }
        | Hold::VolumeStays { .. }
        | Hold::OrphanInTheWay { .. }
        | Hold::PrunesTooMuch { .. }
        | Hold::NoServices
        | Hold::NotOfStack { .. }
        | Hold::Expired(_)
        | Hold::ExpiresInThePast(_)
        | Hold::Duplicate { .. }
        | Hold::Unhealthy { .. }
        | Hold::Ended { .. }
        | Hold::Restarting { .. } => Some((
            "plan".to_owned(),
            Remedy {
                is_lack: false,
                command: None,
            },
        )),
    }
}
