//! Compose's types: the fields of compose-go's structs in their order (its package `types`).
//!
//! The order counts: a hash of the printed service is on every container that Compose makes.
//! Keys of specifications newer than compose-go 2.9.1 stand where newer releases have them.

use super::kind::{Field, Type, always, field, renamed};

pub(super) const SERVICES: Type = Type::Map(&Type::Struct(&SERVICE));
pub(super) const NETWORKS: Type = Type::Map(&Type::Struct(&NETWORK));
pub(super) const VOLUMES: Type = Type::Map(&Type::Struct(&VOLUME));
pub(super) const FILE_OBJECTS: Type = Type::Map(&Type::Struct(&FILE_OBJECT));

const SERVICE: [Field; 92] = [
    field("profiles", Type::Texts),
    field("annotations", Type::Pairs),
    field("attach", Type::OptionalFlag),
    field("build", Type::OptionalStruct(&BUILD)),
    field("develop", Type::OptionalStruct(&DEVELOP)),
    field("blkio_config", Type::OptionalStruct(&BLKIO)),
    field("cap_add", Type::Texts),
    field("cap_drop", Type::Texts),
    field("cgroup_parent", Type::Text),
    field("cgroup", Type::Text),
    field("cpu_count", Type::Int),
    field("cpu_percent", Type::Float),
    field("cpu_period", Type::Int),
    field("cpu_quota", Type::Int),
    field("cpu_rt_period", Type::Int),
    field("cpu_rt_runtime", Type::Int),
    field("cpus", Type::Float),
    field("cpuset", Type::Text),
    field("cpu_shares", Type::Int),
    always("command", Type::Command),
    field("configs", Type::List(&Type::Struct(&FILE_MOUNT))),
    field("container_name", Type::Text),
    field("credential_spec", Type::OptionalStruct(&CREDENTIAL_SPEC)),
    field("depends_on", Type::Map(&Type::Struct(&DEPENDENCY))),
    field("deploy", Type::OptionalStruct(&DEPLOY)),
    field("device_cgroup_rules", Type::Texts),
    field("devices", Type::List(&Type::Struct(&DEVICE))),
    field("dns", Type::TextOrTexts),
    field("dns_opt", Type::Texts),
    field("dns_search", Type::TextOrTexts),
    field("domainname", Type::Text),
    always("entrypoint", Type::Command),
    field("provider", Type::OptionalStruct(&PROVIDER)),
    field("environment", Type::Environment),
    field("env_file", Type::EnvFiles),
    field("expose", Type::ScalarsOrText),
    field("extends", Type::OptionalStruct(&EXTENDS)),
    field("external_links", Type::Texts),
    field("extra_hosts", Type::Hosts),
    field("group_add", Type::Texts),
    field("gpus", Type::List(&Type::Struct(&DEVICE_REQUEST))),
    field("hostname", Type::Text),
    field("healthcheck", Type::OptionalStruct(&HEALTHCHECK)),
    field("image", Type::Text),
    field("init", Type::OptionalFlag),
    field("ipc", Type::Text),
    field("isolation", Type::Text),
    field("labels", Type::Pairs),
    field("label_file", Type::Texts),
    field("links", Type::Texts),
    field("logging", Type::OptionalStruct(&LOGGING)),
    field("mem_limit", Type::Bytes),
    field("mem_reservation", Type::Bytes),
    field("memswap_limit", Type::Bytes),
    field("mem_swappiness", Type::Bytes),
    field("mac_address", Type::Text),
    field("models", Type::Map(&Type::OptionalStruct(&MODEL))),
    field("network_mode", Type::Text),
    field("networks", Type::Map(&Type::OptionalStruct(&ENDPOINT))),
    field("oom_kill_disable", Type::Flag),
    field("oom_score_adj", Type::Int),
    field("pid", Type::Text),
    field("pids_limit", Type::Int),
    field("platform", Type::Text),
    field("ports", Type::List(&Type::Struct(&PORT))),
    field("privileged", Type::Flag),
    field("pull_policy", Type::Text),
    field("read_only", Type::Flag),
    field("restart", Type::Text),
    field("runtime", Type::Text),
    field("scale", Type::OptionalInt),
    field("secrets", Type::List(&Type::Struct(&FILE_MOUNT))),
    field("security_opt", Type::Texts),
    field("shm_size", Type::Bytes),
    field("stdin_open", Type::Flag),
    field("stop_grace_period", Type::OptionalTime),
    field("stop_signal", Type::Text),
    field("storage_opt", Type::StrictPairs),
    field("sysctls", Type::Pairs),
    field("tmpfs", Type::TextOrTexts),
    field("tty", Type::Flag),
    field("ulimits", Type::Map(&Type::Limit)),
    field("use_api_socket", Type::Flag),
    field("user", Type::Text),
    field("userns_mode", Type::Text),
    field("uts", Type::Text),
    field("volumes", Type::List(&Type::Struct(&MOUNT))),
    field("volumes_from", Type::Texts),
    field("working_dir", Type::Text),
    field("pre_start", Type::List(&Type::Struct(&HOOK))),
    field("post_start", Type::List(&Type::Struct(&HOOK))),
    field("pre_stop", Type::List(&Type::Struct(&HOOK))),
];

const BUILD: [Field; 25] = [
    field("context", Type::Text),
    field("dockerfile", Type::Text),
    field("dockerfile_inline", Type::Text),
    field("entitlements", Type::Texts),
    field("args", Type::Environment),
    field("provenance", Type::Text),
    field("sbom", Type::Text),
    field("ssh", Type::Ssh),
    field("labels", Type::Pairs),
    field("cache_from", Type::TextOrTexts),
    field("cache_to", Type::TextOrTexts),
    field("no_cache", Type::Flag),
    field("no_cache_filter", Type::TextOrTexts),
    field("additional_contexts", Type::Pairs),
    field("pull", Type::Flag),
    field("extra_hosts", Type::Hosts),
    field("isolation", Type::Text),
    field("network", Type::Text),
    field("target", Type::Text),
    field("secrets", Type::List(&Type::Struct(&FILE_MOUNT))),
    field("shm_size", Type::Bytes),
    field("tags", Type::TextOrTexts),
    field("ulimits", Type::Map(&Type::Limit)),
    field("platforms", Type::TextOrTexts),
    field("privileged", Type::Flag),
];

const DEVELOP: [Field; 1] = [field("watch", Type::List(&Type::Struct(&TRIGGER)))];

const TRIGGER: [Field; 7] = [
    always("path", Type::Text),
    always("action", Type::Text),
    field("target", Type::Text),
    field("exec", Type::Struct(&HOOK)),
    field("include", Type::Texts),
    field("ignore", Type::Texts),
    field("initial_sync", Type::Flag),
];

const BLKIO: [Field; 6] = [
    field("weight", Type::Unsigned(65_535)),
    field("weight_device", Type::List(&Type::Struct(&WEIGHT))),
    field("device_read_bps", Type::List(&Type::Struct(&THROTTLE))),
    field("device_read_iops", Type::List(&Type::Struct(&THROTTLE))),
    field("device_write_bps", Type::List(&Type::Struct(&THROTTLE))),
    field("device_write_iops", Type::List(&Type::Struct(&THROTTLE))),
];

const WEIGHT: [Field; 2] = [
    renamed("path", "Path", Type::Text),
    renamed("weight", "Weight", Type::Unsigned(65_535)),
];

const THROTTLE: [Field; 2] = [
    renamed("path", "Path", Type::Text),
    renamed("rate", "Rate", Type::Bytes),
];

const FILE_MOUNT: [Field; 5] = [
    field("source", Type::Text),
    field("target", Type::Text),
    field("uid", Type::Text),
    field("gid", Type::Text),
    field("mode", Type::Mode),
];

const CREDENTIAL_SPEC: [Field; 3] = [
    field("config", Type::Text),
    field("file", Type::Text),
    field("registry", Type::Text),
];

const DEPENDENCY: [Field; 3] = [
    field("condition", Type::Text),
    field("restart", Type::Flag),
    always("required", Type::Flag),
];

const DEPLOY: [Field; 9] = [
    field("mode", Type::Text),
    field("replicas", Type::OptionalInt),
    field("labels", Type::Pairs),
    field("update_config", Type::OptionalStruct(&UPDATE)),
    field("rollback_config", Type::OptionalStruct(&UPDATE)),
    field("resources", Type::Struct(&RESOURCES)),
    field("restart_policy", Type::OptionalStruct(&RESTART_POLICY)),
    field("placement", Type::Struct(&PLACEMENT)),
    field("endpoint_mode", Type::Text),
];

const UPDATE: [Field; 6] = [
    field("parallelism", Type::OptionalUnsigned),
    field("delay", Type::Time),
    field("failure_action", Type::Text),
    field("monitor", Type::Time),
    field("max_failure_ratio", Type::Float),
    field("order", Type::Text),
];

const RESOURCES: [Field; 2] = [
    field("limits", Type::OptionalStruct(&RESOURCE)),
    field("reservations", Type::OptionalStruct(&RESOURCE)),
];

const RESOURCE: [Field; 5] = [
    field("cpus", Type::Float),
    field("memory", Type::Bytes),
    field("pids", Type::Int),
    field("devices", Type::List(&Type::Struct(&DEVICE_REQUEST))),
    field(
        "generic_resources",
        Type::List(&Type::Struct(&GENERIC_RESOURCE)),
    ),
];

const GENERIC_RESOURCE: [Field; 1] = [field(
    "discrete_resource_spec",
    Type::OptionalStruct(&DISCRETE_RESOURCE),
)];

const DISCRETE_RESOURCE: [Field; 2] = [always("kind", Type::Text), always("value", Type::Int)];

const RESTART_POLICY: [Field; 4] = [
    field("condition", Type::Text),
    field("delay", Type::OptionalTime),
    field("max_attempts", Type::OptionalUnsigned),
    field("window", Type::OptionalTime),
];

const PLACEMENT: [Field; 3] = [
    field("constraints", Type::Texts),
    field("preferences", Type::List(&Type::Struct(&PREFERENCE))),
    field("max_replicas_per_node", Type::Unsigned(u32::MAX)),
];

const PREFERENCE: [Field; 1] = [field("spread", Type::Text)];

const DEVICE: [Field; 3] = [
    field("source", Type::Text),
    field("target", Type::Text),
    field("permissions", Type::Text),
];

const DEVICE_REQUEST: [Field; 5] = [
    field("capabilities", Type::Texts),
    field("driver", Type::Text),
    field("count", Type::DeviceCount),
    field("device_ids", Type::Texts),
    field("options", Type::Pairs),
];

const PROVIDER: [Field; 2] = [
    field("type", Type::Text),
    field("options", Type::MultiPairs),
];

const EXTENDS: [Field; 2] = [field("file", Type::Text), field("service", Type::Text)];

const HEALTHCHECK: [Field; 7] = [
    field("test", Type::Test),
    field("timeout", Type::OptionalTime),
    field("interval", Type::OptionalTime),
    field("retries", Type::OptionalUnsigned),
    field("start_period", Type::OptionalTime),
    field("start_interval", Type::OptionalTime),
    field("disable", Type::Flag),
];

const LOGGING: [Field; 2] = [field("driver", Type::Text), field("options", Type::Pairs)];

const MODEL: [Field; 2] = [
    field("endpoint_var", Type::Text),
    field("model_var", Type::Text),
];

const ENDPOINT: [Field; 9] = [
    field("aliases", Type::Texts),
    field("driver_opts", Type::Pairs),
    field("gw_priority", Type::Int),
    field("interface_name", Type::Text),
    field("ipv4_address", Type::Text),
    field("ipv6_address", Type::Text),
    field("link_local_ips", Type::Texts),
    field("mac_address", Type::Text),
    field("priority", Type::Int),
];

const PORT: [Field; 7] = [
    field("name", Type::Text),
    field("mode", Type::Text),
    field("host_ip", Type::Text),
    field("target", Type::Unsigned(u32::MAX)),
    field("published", Type::Text),
    field("protocol", Type::Text),
    field("app_protocol", Type::Text),
];

const MOUNT: [Field; 9] = [
    field("type", Type::Text),
    field("source", Type::Text),
    field("target", Type::Text),
    field("read_only", Type::Flag),
    field("consistency", Type::Text),
    field("bind", Type::OptionalStruct(&MOUNT_BIND)),
    field("volume", Type::OptionalStruct(&MOUNT_VOLUME)),
    field("tmpfs", Type::OptionalStruct(&MOUNT_TMPFS)),
    field("image", Type::OptionalStruct(&MOUNT_IMAGE)),
];

const MOUNT_BIND: [Field; 4] = [
    field("selinux", Type::Text),
    field("propagation", Type::Text),
    field("create_host_path", Type::Flag),
    field("recursive", Type::Text),
];

const MOUNT_VOLUME: [Field; 3] = [
    field("labels", Type::Pairs),
    field("nocopy", Type::Flag),
    field("subpath", Type::Text),
];

const MOUNT_TMPFS: [Field; 2] = [
    field("size", Type::Bytes),
    field("mode", Type::Unsigned(u32::MAX)),
];

const MOUNT_IMAGE: [Field; 1] = [field("subpath", Type::Text)];

const HOOK: [Field; 7] = [
    always("command", Type::Command),
    field("image", Type::Text),
    field("user", Type::Text),
    field("privileged", Type::Flag),
    field("working_dir", Type::Text),
    field("environment", Type::Environment),
    field("per_replica", Type::Flag),
];

const NETWORK: [Field; 10] = [
    field("name", Type::Text),
    field("driver", Type::Text),
    field("driver_opts", Type::Pairs),
    field("ipam", Type::Struct(&IPAM)),
    field("external", Type::Flag),
    field("internal", Type::Flag),
    field("attachable", Type::Flag),
    field("labels", Type::Pairs),
    field("enable_ipv4", Type::OptionalFlag),
    field("enable_ipv6", Type::OptionalFlag),
];

const IPAM: [Field; 2] = [
    field("driver", Type::Text),
    field("config", Type::List(&Type::OptionalStruct(&POOL))),
];

const POOL: [Field; 4] = [
    field("subnet", Type::Text),
    field("gateway", Type::Text),
    field("ip_range", Type::Text),
    field("aux_addresses", Type::Pairs),
];

const VOLUME: [Field; 5] = [
    field("name", Type::Text),
    field("driver", Type::Text),
    field("driver_opts", Type::Pairs),
    field("external", Type::Flag),
    field("labels", Type::Pairs),
];

const FILE_OBJECT: [Field; 9] = [
    field("name", Type::Text),
    field("file", Type::Text),
    field("environment", Type::Text),
    field("content", Type::Text),
    field("external", Type::Flag),
    field("labels", Type::Pairs),
    field("driver", Type::Text),
    field("driver_opts", Type::StrictPairs),
    field("template_driver", Type::Text),
];
