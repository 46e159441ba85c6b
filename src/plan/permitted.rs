//! Holds a stack that asks the engine for what the host's settings do not permit: before anything is
//! touched, and with everything that is not, so that nobody finds it one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::Hold;
use super::action::Action;
use super::drafts::TestPlace;
use super::order::Planner;
use super::services::{Input, container_name};
use super::slot::{Slot, in_slot};
use crate::desired::proxy::ProxyPlace;
use crate::desired::{Hook, Places, Service, ServiceName, Wanted};
use crate::diagnostic::Location;
use crate::engine::model::{Exec, Network, Volume};
use crate::permits::Touch;
use crate::policy::{Refusal, Seen, Who};
use crate::secret::mentions;

/// What Git asks for and the host's settings do not permit; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotPermitted {
    /// Everything, by what it is of.
    pub refused: Vec<Refused>,
}

/// One thing that is not permitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refused {
    /// What of: `web`, `network shop_back`, `volume shop_data`.
    pub of: String,
    /// Where it stands, where that is known.
    pub at: Option<Location>,
    /// What it is, and what would permit it.
    #[serde(flatten)]
    pub refusal: Refusal,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.of)?;
        if let Some(at) = &self.at {
            write!(f, " ({at})")?;
        }
        write!(f, ": {}", self.refusal)
    }
}

impl fmt::Display for NotPermitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.refused.iter().map(ToString::to_string).collect();
        let all = all.join("; ");
        write!(
            f,
            "the host's settings do not permit what Git asks for, so nothing of it is done: {all}"
        )
    }
}

impl Planner<'_> {
    /// Holds everything while something of it is not permitted, whether or not it is to be made.
    pub(super) fn hold_not_permitted(&mut self) {
        let mut refused = self.input.not_permitted();
        refused.extend(self.tests_not_permitted());
        if !refused.is_empty() {
            // The containers of one service ask for the same.
            let refused: BTreeSet<Refused> = refused.into_iter().collect();
            let refused = refused.into_iter().collect();
            self.holds
                .push(Hold::NotPermitted(NotPermitted { refused }));
        }
    }

    /// Returns what the containers in which the proxy's configuration is tested ask for: they are
    /// like one that may be somebody else's.
    fn tests_not_permitted(&self) -> Vec<Refused> {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let one_offs = self.steps.iter().filter_map(|step| {
            let Action::TestProxy(draft) = &step.action else {
                return None;
            };
            match &draft.place {
                TestPlace::Containers { one_offs, .. } => Some(one_offs),
                TestPlace::Host => None,
            }
        });
        let seen = Seen {
            real: &observed.real,
            own: &self.input.own_containers(),
        };
        let who = Who {
            stack: desired.stack.as_str(),
            service: None,
        };
        let of_services = |name: &ServiceName| desired.services.contains_key(name);
        let strange = one_offs.flatten().filter(|one| !of_services(&one.service));
        let refused = strange.flat_map(|one| {
            let refusals = context.policy.container(who, &one.spec, seen);
            let of = format!("proxy {}", one.service);
            self.input.refused(&of, None, refusals)
        });
        refused.collect()
    }
}

impl Input<'_> {
    /// Returns everything that Git asks for and that is not permitted.
    fn not_permitted(&self) -> Vec<Refused> {
        let own = self.own_containers();
        let seen = Seen {
            real: &self.observed.real,
            own: &own,
        };
        let desired = self.desired;
        let mut found = Vec::new();
        for (name, service) in &desired.services {
            found.extend(self.service_not_permitted(name, service, seen));
        }
        for (name, wanted) in &desired.networks {
            found.extend(self.network_not_permitted(name, wanted));
        }
        for (name, wanted) in &desired.volumes {
            found.extend(self.volume_not_permitted(name, wanted, seen));
        }
        found.extend(self.places_not_permitted());
        found
    }

    /// Returns what the manifest wants of files of the host that is not permitted, once for each
    /// key and directory.
    fn places_not_permitted(&self) -> Vec<Refused> {
        let desired = self.desired;
        let stack = desired.stack.as_str();
        let mut found = BTreeMap::new();
        let mut add = |at: Option<&Location>, refusal: Option<Refusal>| {
            let Some(refusal) = refusal else { return };
            let once = (refusal.key, at.cloned(), refusal.setting.clone());
            found.entry(once).or_insert(refusal);
        };
        let proxy_at = |key: &str| desired.named.proxy.get(key);
        let place = desired.proxy.as_ref().map(|proxy| &proxy.proxy.place);
        if place == Some(&ProxyPlace::Host) {
            add(proxy_at("host"), self.context.policy.host_proxy(stack));
        }
        if desired.expires.is_some() {
            add(None, self.context.policy.expiry(stack));
        }
        let judge = |key, path: &Path, touch| {
            let policy = self.context.policy;
            policy.file(stack, key, (path, touch), &self.observed.real)
        };
        for place in &desired.named.places {
            let refusal = judge(place.key, &place.path, place.touch);
            add(place.at.as_ref(), refusal);
        }
        if matches!(place, Some(ProxyPlace::Container(_))) {
            let places = self.observed.proxy.iter();
            for path in places.flat_map(|proxy| proxy.places.values()) {
                add(proxy_at("configs"), judge("proxy", path, Touch::Write));
            }
        }
        // What a release has placed and Git no longer has is removed.
        let then = self.history.release.iter();
        let gone = then.flat_map(|release| release.host_placed.keys());
        let gone = gone.filter(|path| {
            let wanted = desired.host_placed.contains_key(*path);
            !wanted && self.observed.host_placed.contains_key(*path)
        });
        for path in gone {
            add(None, judge("files", path, Touch::Configure));
        }
        let found = found.into_iter();
        let found = found.flat_map(|((_, at, _), refusal)| {
            let mut refused = self.refused("manifest", None, vec![refusal]);
            for one in &mut refused {
                one.at.clone_from(&at);
            }
            refused
        });
        found.collect()
    }

    fn service_not_permitted(
        &self,
        name: &ServiceName,
        service: &Service,
        seen: Seen<'_>,
    ) -> Vec<Refused> {
        let policy = self.context.policy;
        let who = self.who(Some(name));
        let stack = &self.desired.stack;
        // A second place may have a port of its own.
        let slots = service.blue_green().map(|_| Slot::Green);
        let slots = [None].into_iter().chain(slots.map(Some));
        let mut refusals: Vec<Refusal> = slots
            .flat_map(|slot| policy.container(who, &in_slot(stack, name, service, slot), seen))
            .collect();
        let hooks = [
            ("post_start", &service.post_start),
            ("pre_stop", &service.pre_stop),
        ];
        for (key, hooks) in hooks {
            let asked = hooks.iter();
            refusals.extend(asked.flat_map(|hook| policy.exec(who, key, &exec(hook))));
        }
        self.refused(name.service(), Some(&service.places), refusals)
    }

    fn network_not_permitted(&self, name: &str, wanted: &Wanted<Network>) -> Vec<Refused> {
        let refusals = match wanted {
            Wanted::Own(network) => self.context.policy.network(self.who(None), network),
            Wanted::External(_) => Vec::new(),
        };
        let places = self.desired.network_places.get(name);
        self.refused(&format!("network {name}"), places, refusals)
    }

    fn volume_not_permitted(
        &self,
        name: &str,
        wanted: &Wanted<Volume>,
        seen: Seen<'_>,
    ) -> Vec<Refused> {
        let refusals = match wanted {
            Wanted::Own(volume) => self.context.policy.volume(self.who(None), volume, seen),
            Wanted::External(_) => Vec::new(),
        };
        let places = self.desired.volume_places.get(name);
        self.refused(&format!("volume {name}"), places, refusals)
    }

    /// Says what refusals are of; a value that is secret is not shown in them.
    fn refused(&self, of: &str, places: Option<&Places>, refusals: Vec<Refusal>) -> Vec<Refused> {
        let secrets = &self.desired.secrets;
        let one = |refusal: Refusal| Refused {
            of: of.to_owned(),
            at: places.and_then(|places| places.get(refusal.key)).cloned(),
            refusal: if mentions(&refusal.to_string(), secrets) {
                refusal.without_value()
            } else {
                refusal
            },
        };
        refusals.into_iter().map(one).collect()
    }

    fn who<'w>(&'w self, service: Option<&'w ServiceName>) -> Who<'w> {
        Who {
            stack: self.desired.stack.as_str(),
            service: service.map(ServiceName::service),
        }
    }

    /// Returns the names of the containers of the stack, as services name one another.
    fn own_containers(&self) -> BTreeSet<String> {
        let desired = self.desired;
        let services = desired.services.iter();
        services
            .map(|(name, service)| container_name(&desired.stack, name, service))
            .collect()
    }
}

/// Returns what a hook asks the engine for.
fn exec(hook: &Hook) -> Exec<'_> {
    Exec {
        command: &hook.command,
        env: &hook.env,
        user: hook.user.as_deref(),
        working_dir: hook.working_dir.as_deref(),
        privileged: hook.privileged,
    }
}
