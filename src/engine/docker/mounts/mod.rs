//! Maps mounts, in both directions. Pure.
//!
//! The engine takes mounts in three places of a request and shows them in four of an answer, so
//! what belongs together is kept together here. As Compose does, what the short form can say
//! goes through `Binds`, everything else through `Mounts`, the key `tmpfs` through `Tmpfs`. In an
//! answer the list `Mounts` says what is mounted; only the options are taken from the request
//! that the engine kept.
//!
//! | mount | `Binds` | `Mounts` |
//! |---|---|---|
//! | named volume | plain | with `nocopy`, a subpath or labels |
//! | anonymous volume | | always |
//! | bind | with `create_host_path` | without it; with a propagation or `recursive` |
//! | memory, image | | always |
//!
//! Where Compose's `Mounts` would lose something, `Binds` keep it: an engine before API 1.42 makes
//! no directory for a bind with a propagation, and none takes `z` or `Z` there.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::read;
pub(super) use write::write;

use bollard::models::MountBindOptionsPropagationEnum;

fn propagation(word: &str) -> Option<MountBindOptionsPropagationEnum> {
    match word {
        "private" => Some(MountBindOptionsPropagationEnum::PRIVATE),
        "rprivate" => Some(MountBindOptionsPropagationEnum::RPRIVATE),
        "shared" => Some(MountBindOptionsPropagationEnum::SHARED),
        "rshared" => Some(MountBindOptionsPropagationEnum::RSHARED),
        "slave" => Some(MountBindOptionsPropagationEnum::SLAVE),
        "rslave" => Some(MountBindOptionsPropagationEnum::RSLAVE),
        _ => None,
    }
}
