//! What can differ between Git, the last release and what is live, and what a difference means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A property of a service that can differ.
///
/// | field | a difference means |
/// |---|---|
/// | `Container` | the container is missing: create it |
/// | `State` | it does not run: start it (restart it when it is paused) |
/// | `Name` | it has another name: rename it |
/// | `Network` | it is not connected as it should be: connect it again |
/// | `File`, `Dependency` | a mounted file or a dependency changed: restart it |
/// | `Setting` | of a network: make it again
/// | `PostStart` | what runs inside after its start changed: restart it
/// | `Owed` | an interrupted pass was to restart it: restart it |
/// | `Inside` | a container sees another file than the one on the host: restart it |
/// | `Config`, `Upstream`, `Certificate`, `Loaded` | of a proxy: have it load its files |
/// | all others | a new container: the engine can't change them on a live one |
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the property of its name")]
pub enum Field {
    Container,
    Name,
    State,
    Image,
    ImageId,
    Command,
    Entrypoint,
    Env(String),
    Label(String),
    User,
    WorkingDir,
    Init,
    StopSignal,
    StopTimeout,
    Healthcheck,
    Port(String),
    Expose,
    Mount(String),
    Network(String),
    NetworkMode,
    Restart,
    Memory,
    MemoryReservation,
    MemorySwap,
    Cpus,
    CpuShares,
    CpuQuota,
    CpuPeriod,
    Cpuset,
    PidsLimit,
    Privileged,
    ReadOnly,
    CapAdd,
    CapDrop,
    Platform,
    Hostname,
    Domainname,
    Tty,
    StdinOpen,
    MacAddress(String),
    ExtraHost(String),
    Links,
    Dns,
    DnsOptions,
    DnsSearch,
    Ipc,
    Pid,
    Uts,
    Userns,
    Cgroup,
    Sysctl(String),
    Annotation(String),
    VolumesFrom,
    VolumeDriver,
    Runtime,
    Isolation,
    LogDriver,
    LogOption(String),
    GroupAdd,
    SecurityOpt,
    Ulimit(String),
    Device(String),
    DeviceCgroupRules,
    DeviceRequests,
    StorageOpt(String),
    ShmSize,
    OomKillDisable,
    OomScoreAdj,
    MemorySwappiness,
    CpuCount,
    CpuPercent,
    CpuRtPeriod,
    CpuRtRuntime,
    CgroupParent,
    BlkioWeight,
    BlkioWeightDevice(String),
    BlkioRate(String),
    Copied(String),
    File(String),
    Dependency(String),
    Owed,
    Config(String),
    Inside(String),
    Upstream(String),
    Certificate(String),
    Loaded,
    PostStart,
    Setting(String),
}

/// How far what an engine shows of a container tells what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownAs {
    /// As it was asked for.
    Asked,
    /// As it was asked for, unless the kernel can't do it, or the engine does it anyway: then not
    /// at all.
    AskedIfPossible,
    /// What nobody asks for is filled in, and can't be told from what was asked for.
    FilledIn,
    /// The same for a container in the network of the host.
    FilledInOnHost,
    /// Filled in with one of these.
    FilledWith(&'static [&'static str]),
    /// Not at all.
    Never,
}

impl Field {
    /// Returns how far what an engine shows tells what it was asked for.
    pub(super) fn shown_as(&self) -> ShownAs {
        match self {
            // What the kernel or the system has nothing for is discarded with a warning
            // (`verifyPlatformContainerResources` of the engine); `docker update` can't take these
            // away.
            // The driver and runtime that an engine is configured to use are not shown.
            Self::BlkioWeight
            | Self::BlkioWeightDevice(_)
            | Self::BlkioRate(_)
            | Self::Memory
            | Self::MemoryReservation
            | Self::MemorySwappiness
            | Self::OomKillDisable
            | Self::CpuShares
            | Self::CpuQuota
            | Self::CpuPeriod
            | Self::CpuPercent
            | Self::Cpuset
            | Self::LogDriver
            | Self::Runtime => ShownAs::AskedIfPossible,
            // An engine since 28.0 makes up addresses. The options that an engine is configured to
            // use stand beside those of the container.
            Self::MacAddress(_) | Self::Cgroup | Self::LogOption(_) => ShownAs::FilledIn,
            Self::Hostname => ShownAs::FilledInOnHost,
            Self::Ipc => ShownAs::FilledWith(&["private", "shareable"]),
            Self::Copied(_) | Self::Platform => ShownAs::Never,
            Self::Container
            | Self::Name
            | Self::State
            | Self::Image
            | Self::ImageId
            | Self::Command
            | Self::Entrypoint
            | Self::Env(_)
            | Self::Label(_)
            | Self::User
            | Self::WorkingDir
            | Self::Init
            | Self::StopSignal
            | Self::StopTimeout
            | Self::Healthcheck
            | Self::Port(_)
            | Self::Expose
            | Self::Mount(_)
            | Self::Network(_)
            | Self::NetworkMode
            | Self::Restart
            | Self::MemorySwap
            | Self::PidsLimit
            | Self::Cpus
            | Self::Privileged
            | Self::ReadOnly
            | Self::CapAdd
            | Self::CapDrop
            | Self::Domainname
            | Self::Tty
            | Self::StdinOpen
            | Self::ExtraHost(_)
            | Self::Links
            | Self::Dns
            | Self::DnsOptions
            | Self::DnsSearch
            | Self::Pid
            | Self::Uts
            | Self::Userns
            | Self::Sysctl(_)
            | Self::Annotation(_)
            | Self::VolumesFrom
            | Self::VolumeDriver
            | Self::Isolation
            | Self::GroupAdd
            | Self::SecurityOpt
            | Self::Ulimit(_)
            | Self::Device(_)
            | Self::DeviceCgroupRules
            | Self::DeviceRequests
            | Self::StorageOpt(_)
            | Self::ShmSize
            | Self::OomScoreAdj
            | Self::CpuCount
            | Self::CpuRtPeriod
            | Self::CpuRtRuntime
            | Self::CgroupParent
            | Self::File(_)
            | Self::Dependency(_)
            | Self::Owed
            | Self::Config(_)
            | Self::Inside(_)
            | Self::Upstream(_)
            | Self::Certificate(_)
            | Self::Loaded
            | Self::PostStart
            | Self::Setting(_) => ShownAs::Asked,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::Label(name) => write!(f, "label {name}"),
            Self::Port(target) => write!(f, "port {target}"),
            Self::Mount(target) => write!(f, "mount {target}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Dependency(service) => write!(f, "dependency {service}"),
            Self::Config(path) => write!(f, "config {path}"),
            Self::Inside(path) => write!(f, "{path} as its container sees it"),
            Self::Upstream(upstream) => write!(f, "upstream {upstream}"),
            Self::Certificate(path) => write!(f, "certificate {path}"),
            Self::PostStart => f.write_str("post_start"),
            Self::Setting(name) => f.write_str(name),
            Self::Loaded => f.write_str("loaded"),
            Self::Owed => f.write_str("restart owed by an interrupted pass"),
            Self::Container => f.write_str("container"),
            Self::Name => f.write_str("name"),
            Self::State => f.write_str("state"),
            Self::Expose => f.write_str("expose"),
            Self::Image => f.write_str("image"),
            Self::ImageId => f.write_str("image id"),
            Self::Command => f.write_str("command"),
            Self::Entrypoint => f.write_str("entrypoint"),
            Self::User => f.write_str("user"),
            Self::WorkingDir => f.write_str("working_dir"),
            Self::Init => f.write_str("init"),
            Self::StopSignal => f.write_str("stop_signal"),
            Self::StopTimeout => f.write_str("stop_grace_period"),
            Self::Healthcheck => f.write_str("healthcheck"),
            Self::NetworkMode => f.write_str("network_mode"),
            Self::Restart => f.write_str("restart"),
            Self::Memory => f.write_str("memory"),
            Self::MemoryReservation => f.write_str("memory reservation"),
            Self::MemorySwap => f.write_str("memory+swap"),
            Self::Cpus => f.write_str("cpus"),
            Self::CpuShares => f.write_str("cpu shares"),
            Self::CpuQuota => f.write_str("cpu quota"),
            Self::CpuPeriod => f.write_str("cpu period"),
            Self::Cpuset => f.write_str("cpuset"),
            Self::PidsLimit => f.write_str("pids limit"),
            Self::Privileged => f.write_str("privileged"),
            Self::ReadOnly => f.write_str("read_only"),
            Self::CapAdd => f.write_str("cap_add"),
            Self::CapDrop => f.write_str("cap_drop"),
            Self::Platform => f.write_str("platform"),
            Self::Hostname => f.write_str("hostname"),
            Self::Domainname => f.write_str("domainname"),
            Self::Tty => f.write_str("tty"),
            Self::StdinOpen => f.write_str("stdin_open"),
            Self::MacAddress(network) => write!(f, "mac_address in {network}"),
            Self::ExtraHost(name) => write!(f, "extra_hosts {name}"),
            Self::Links => f.write_str("links"),
            Self::Dns => f.write_str("dns"),
            Self::DnsOptions => f.write_str("dns_opt"),
            Self::DnsSearch => f.write_str("dns_search"),
            Self::Ipc => f.write_str("ipc"),
            Self::Pid => f.write_str("pid"),
            Self::Uts => f.write_str("uts"),
            Self::Userns => f.write_str("userns_mode"),
            Self::Cgroup => f.write_str("cgroup"),
            Self::Sysctl(name) => write!(f, "sysctl {name}"),
            Self::Annotation(name) => write!(f, "annotation {name}"),
            Self::VolumesFrom => f.write_str("volumes_from"),
            Self::VolumeDriver => f.write_str("volume_driver"),
            Self::Runtime => f.write_str("runtime"),
            Self::Isolation => f.write_str("isolation"),
            Self::LogDriver => f.write_str("logging driver"),
            Self::LogOption(name) => write!(f, "logging option {name}"),
            Self::GroupAdd => f.write_str("group_add"),
            Self::SecurityOpt => f.write_str("security_opt"),
            Self::Ulimit(name) => write!(f, "ulimit {name}"),
            Self::Device(target) => write!(f, "device {target}"),
            Self::DeviceCgroupRules => f.write_str("device_cgroup_rules"),
            Self::DeviceRequests => f.write_str("gpus and other devices of drivers"),
            Self::StorageOpt(name) => write!(f, "storage_opt {name}"),
            Self::ShmSize => f.write_str("shm_size"),
            Self::OomKillDisable => f.write_str("oom_kill_disable"),
            Self::OomScoreAdj => f.write_str("oom_score_adj"),
            Self::MemorySwappiness => f.write_str("mem_swappiness"),
            Self::CpuCount => f.write_str("cpu_count"),
            Self::CpuPercent => f.write_str("cpu_percent"),
            Self::CpuRtPeriod => f.write_str("cpu_rt_period"),
            Self::CpuRtRuntime => f.write_str("cpu_rt_runtime"),
            Self::CgroupParent => f.write_str("cgroup_parent"),
            Self::BlkioWeight => f.write_str("blkio weight"),
            Self::BlkioWeightDevice(path) => write!(f, "blkio weight of {path}"),
            Self::BlkioRate(what) => write!(f, "blkio {what}"),
            Self::Copied(path) => write!(f, "content of {path}"),
        }
    }
}
