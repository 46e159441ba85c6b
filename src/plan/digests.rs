//! Names the keyed digests that planning makes of what Git says.
//!
//! Away from the host there is not its key. What was kept under digests with that key can be told in
//! another one, as long as Git still says what they are digests of.

use std::collections::BTreeMap;

use super::facts::{self, Fact, Field, Veil};
use super::services::image_of;
use super::{around, asked, spec};
use crate::desired::migrations::Migration;
use crate::desired::{DesiredState, Service, Wanted};
use crate::observe::ObservedState;
use crate::secret::DigestKey;

/// Returns every keyed digest that a plan for `desired` may compare with one that was kept, by a
/// name of what it is a digest of: the same name whatever the key, and whatever the values.
pub fn digests(
    desired: &DesiredState,
    observed: &ObservedState,
    key: &DigestKey,
) -> BTreeMap<String, String> {
    let veil = Veil {
        key,
        secrets: &desired.secrets,
    };
    let mut named = BTreeMap::new();
    for (name, service) in &desired.services {
        named.insert(format!("service {name}"), spec::digest_of(service, veil));
        let image = image_of(observed, service);
        let mut said = facts::desired(&service.spec, image, &service.committed_env, veil);
        let hooks = around::post_start(service, key);
        said.extend(hooks.map(|fact| (Field::PostStart, fact)));
        for (field, fact) in said {
            if let Fact::Hidden(digest) = fact {
                named.insert(format!("fact {name} {field}"), digest.to_string());
            }
        }
    }
    for (name, wanted) in &desired.networks {
        if let Wanted::Own(network) = wanted {
            named.insert(format!("network {name}"), asked::digest(network, key));
        }
    }
    for (index, migration) in desired.migrations.iter().enumerate() {
        if let Some(service) = desired.services.get(&migration.service) {
            let mark = mark(index, migration, service, key);
            named.insert(format!("migration {index}"), mark);
        }
    }
    named
}

/// Knows a migration again by what Git says of it: its image, its command and its service.
pub(super) fn mark(
    index: usize,
    migration: &Migration,
    service: &Service,
    key: &DigestKey,
) -> String {
    let image = &service.spec.image;
    let said = (index, image, &migration.service, &migration.run);
    let bytes = serde_json::to_vec(&said).unwrap_or_default();
    let digest = key.digest(&bytes).to_string();
    digest.get(..16).unwrap_or(&digest).to_owned()
}
