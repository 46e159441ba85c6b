//! Lists the keys of a Compose file: those that this version acts on, and those that Compose
//! defines beyond them. Source: the Compose specification's JSON schema.

/// Top-level keys.
pub(super) const TOP: [&str; 5] = ["name", "version", "services", "networks", "volumes"];
pub(super) const TOP_LATER: [&str; 4] = ["include", "secrets", "configs", "models"];

/// Keys of a service.
pub(super) const SERVICE: [&str; 21] = [
    "image",
    "build",
    "command",
    "container_name",
    "depends_on",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "healthcheck",
    "init",
    "labels",
    "networks",
    "ports",
    "pull_policy",
    "restart",
    "stop_grace_period",
    "stop_signal",
    "user",
    "volumes",
    "working_dir",
];
pub(super) const SERVICE_LATER: [&str; 72] = [
    "annotations",
    "attach",
    "blkio_config",
    "cap_add",
    "cap_drop",
    "cgroup",
    "cgroup_parent",
    "configs",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpus",
    "cpuset",
    "credential_spec",
    "deploy",
    "develop",
    "device_cgroup_rules",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "domainname",
    "extends",
    "external_links",
    "extra_hosts",
    "gpus",
    "group_add",
    "hostname",
    "ipc",
    "isolation",
    "label_file",
    "links",
    "logging",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "mem_swappiness",
    "memswap_limit",
    "models",
    "network_mode",
    "oom_kill_disable",
    "oom_score_adj",
    "pid",
    "pids_limit",
    "platform",
    "post_start",
    "pre_stop",
    "privileged",
    "profiles",
    "provider",
    "read_only",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "storage_opt",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "use_api_socket",
    "userns_mode",
    "uts",
    "volume_driver",
    "volumes_from",
    "pre_start",
];

/// Keys of `healthcheck`.
pub(super) const HEALTHCHECK: [&str; 6] = [
    "test",
    "interval",
    "timeout",
    "start_period",
    "retries",
    "disable",
];
pub(super) const HEALTHCHECK_LATER: [&str; 1] = ["start_interval"];

/// Keys of one network of a service.
pub(super) const ENDPOINT: [&str; 1] = ["aliases"];
pub(super) const ENDPOINT_LATER: [&str; 8] = [
    "driver_opts",
    "gw_priority",
    "interface_name",
    "ipv4_address",
    "ipv6_address",
    "link_local_ips",
    "mac_address",
    "priority",
];

/// Keys of one entry of `depends_on`.
pub(super) const DEPENDENCY: [&str; 3] = ["condition", "restart", "required"];

/// Keys of the long form of a port.
pub(super) const PORT: [&str; 7] = [
    "target",
    "published",
    "host_ip",
    "protocol",
    "mode",
    "name",
    "app_protocol",
];

/// Keys of the long form of a volume.
pub(super) const MOUNT: [&str; 5] = ["type", "source", "target", "read_only", "bind"];
pub(super) const MOUNT_LATER: [&str; 4] = ["consistency", "volume", "tmpfs", "image"];
pub(super) const MOUNT_BIND: [&str; 1] = ["create_host_path"];
pub(super) const MOUNT_BIND_LATER: [&str; 3] = ["propagation", "recursive", "selinux"];

/// Keys of the long form of an environment file.
pub(super) const ENV_FILE: [&str; 3] = ["path", "required", "format"];

/// Keys of a top-level network.
pub(super) const NETWORK: [&str; 6] = [
    "name",
    "driver",
    "driver_opts",
    "external",
    "internal",
    "labels",
];
pub(super) const NETWORK_LATER: [&str; 4] = ["attachable", "enable_ipv4", "enable_ipv6", "ipam"];

/// Keys of a top-level volume.
pub(super) const VOLUME: [&str; 5] = ["name", "driver", "driver_opts", "external", "labels"];
