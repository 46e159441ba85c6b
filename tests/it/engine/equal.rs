//! Whether what was asked for is what is shown.

use moored::engine::model::{Image, MountSource};
use moored::plan::facts::{self, Known, Veil};
use moored::secret::DigestKey;

use super::*;

/// Compares field by field; what a request leaves to the image or the engine is not compared.
pub(super) fn assert_reads_back(case: &str, asked: &ContainerSpec, live: &ContainerSpec) {
    macro_rules! same {
        ($($field:ident),* $(,)?) => {
            $(assert_eq!(live.$field, asked.$field, "{case}: {}", stringify!($field));)*
        };
    }
    macro_rules! same_if_asked {
        ($($field:ident),* $(,)?) => {
            $(if asked.$field.is_some() {
                assert_eq!(live.$field, asked.$field, "{case}: {}", stringify!($field));
            })*
        };
    }
    same!(
        image,
        labels,
        ports,
        expose,
        networks,
        network_mode,
        links,
        extra_hosts,
        restart,
        resources,
        limits,
        privileged,
        read_only,
        cap_add,
        cap_drop,
        domainname,
        tty,
        stdin_open,
        annotations,
        dns,
        dns_options,
        dns_search,
        group_add,
        sysctls,
        ulimits,
        devices,
        device_cgroup_rules,
        device_requests,
        volumes_from,
        volume_driver,
        storage_opt,
    );
    same_if_asked!(
        command,
        entrypoint,
        user,
        working_dir,
        init,
        stop_signal,
        stop_timeout,
        healthcheck,
        logging,
        isolation,
    );
    // The host's name where the network is the host's.
    if asked.network_mode != "host" {
        assert_eq!(live.hostname, asked.hostname, "{case}: hostname");
    }
    let spaces = |spec: &ContainerSpec| {
        let spaces = &spec.namespaces;
        [
            &spaces.ipc,
            &spaces.pid,
            &spaces.uts,
            &spaces.user,
            &spaces.cgroup,
        ]
        .map(Clone::clone)
    };
    for (asked, live) in spaces(asked).into_iter().zip(spaces(live)) {
        let filled_in = ["private", "shareable", "host"].contains(&live.as_str());
        let same = live == asked || (asked.is_empty() && filled_in);
        assert!(same, "{case}: namespaces: {live} is not {asked}");
    }
    let missing: Vec<_> = asked.security_opt.difference(&live.security_opt).collect();
    assert!(missing.is_empty(), "{case}: security_opt: {missing:?}");
    assert!(live.env == asked.env, "{case}: env (not shown)");
    let targets = |spec: &ContainerSpec| spec.mounts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(targets(live), targets(asked), "{case}: mounts");
    for (target, mount) in &asked.mounts {
        let seen = &live.mounts[target];
        if mount.source == MountSource::Anonymous(None) {
            assert!(
                matches!(seen.source, MountSource::Anonymous(Some(_))),
                "{case}: {target}"
            );
            assert_eq!(
                (seen.read_only, &seen.options),
                (mount.read_only, &mount.options)
            );
        } else {
            assert_eq!(seen, mount, "{case}: {target}");
        }
    }
}

/// What a plan would find: nothing.
pub(super) fn assert_no_difference(
    case: &str,
    asked: &ContainerSpec,
    live: &Container,
    image: &Image,
) {
    let key = DigestKey::new(vec![7; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    let git = facts::desired(asked, Some(image), &BTreeSet::new(), veil);
    let known = Known {
        git: &git,
        release: None,
        is_of_git: &|| false,
    };
    let live = facts::live(live, known, veil);
    assert_eq!(live, git, "{case}: what is live, and what Git says");
}
