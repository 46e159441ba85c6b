//! Reads what the engine shows into our words. Pure.
//!
//! The result is canonical: what [`super::to_engine`] asked for reads back equal, field by field,
//! apart from what the image or the engine adds where the request left the choice.
//! What is normalised on the way:
//!
//! | field | canonical form |
//! |---|---|
//! | `ports` | as configured, not the port that the engine picked; published `0` = empty |
//! | `expose` | with the protocol, without the published ports |
//! | `mounts` | what is mounted now; options sorted, without `ro` and `rw`; without what came by `volumes_from` |
//! | volume | anonymous if its name is 64 hexadecimal digits or nobody asked for it by name |
//! | `networks` | aliases without the container's short id and host name; without the built-in modes |
//! | `mac_address` | empty where the engine derived it from the IPv4 address |
//! | `network_mode` | `default` is `bridge` |
//! | `hostname` | `None` where it is the short id, or another container's |
//! | `resources` | the swap limit that the engine derives from `memory` is 0 |
//! | `shm_size` | 64 MiB, the engine's own, is 0 |
//! | `memory_swappiness` | -1 is `None` |
//! | `security_opt` | no masked paths are `systempaths=unconfined` |
//! | capabilities | upper case, without `CAP_` |
//! | `runtime`, `logging` | `None` where it is what the engine is configured to use |
//!
//! Another container is shown by its id; [`super::neighbours`] makes a name of it.

mod container;
mod limits;
mod objects;
#[cfg(test)]
mod tests;

pub(super) use container::{EngineDefaults, SwapLimit, container, depends_on_defaults};
pub(super) use objects::{image, network, volume};

use std::collections::{BTreeMap, HashMap};

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}
