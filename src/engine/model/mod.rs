//! What the engine runs, in our words: one vocabulary for what we ask for and what it shows.

mod container;
mod host;
mod limits;
mod mount;
mod spec;
mod talk;

pub use container::{
    Container, ContainerState, ContainerSummary, EngineInfo, Exec, Executed, Health, PullProgress,
};
pub use host::{Image, Ipam, IpamPool, Network, Volume};
pub use limits::{
    Blkio, Device, DeviceRequest, Limits, Logging, Namespaces, Resources, Restart, Ulimit,
};
pub use mount::{CopiedFile, LongMount, Mount, MountSource};
pub use spec::{ContainerSpec, Endpoint, Healthcheck, Port, joined, joining};
pub use talk::{Ends, LogPiece, LogStream, LogWish, TerminalSize};
