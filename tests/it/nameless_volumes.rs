//! Volumes without a name go along from container to container: an image that declares one keeps
//! its data there.

use moored::engine::model::MountSource;
use moored::journal::Outcome;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;

/// Puts a Compose file in place; returns what each container has at `/data`, by service.
fn pass(bench: &Bench, digit: char, compose: &str) -> Vec<(String, MountSource)> {
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let desired = bench.load(&files, digit).unwrap();
    let passed = bench.pass(&desired).unwrap();
    // Nothing where the Compose file only says what the image does.
    let well = matches!(passed.outcome, None | Some(Outcome::Succeeded));
    assert!(well, "{compose}: {:?}", passed.outcome);
    let second = bench.look(&desired).plan;
    assert!(second.is_empty(), "{compose}: {second}");
    let world = bench.engine.world();
    let kept = world.containers.values();
    let mut mounts: Vec<(String, MountSource)> = kept
        .map(|kept| {
            let source = kept.shown.spec.mounts["/data"].source.clone();
            (kept.shown.name.clone(), source)
        })
        .collect();
    mounts.sort_by(|one, other| one.0.cmp(&other.0));
    mounts
}

fn bench() -> Bench {
    let bench = Bench::new();
    // `db` declares /data, `app` does not, `bare` is `db` without it.
    let stock = "images: {'bare:v1': {}}";
    let stock: HostYaml = serde_yaml::from_str(stock).unwrap();
    stock.stock(&bench);
    bench
}

#[test]
fn they_go_along_whoever_declares_them() {
    for (first, second) in [
        // The image alone, and another one that declares it as well.
        ("{image: 'db:v1'}", "{image: 'db:v2'}"),
        ("{image: 'db:v1'}", "{image: 'db:v1', labels: {a: b}}"),
        // The Compose file beside it, or instead.
        ("{image: 'db:v1'}", "{image: 'db:v1', volumes: [/data]}"),
        ("{image: 'db:v1', volumes: [/data]}", "{image: 'db:v2'}"),
        (
            "{image: 'app:v1', volumes: [/data]}",
            "{image: 'app:v2', volumes: [/data]}",
        ),
        // Read-only is a matter of the mount.
        (
            "{image: 'db:v1', volumes: [/data]}",
            "{image: 'db:v1', volumes: [{type: volume, target: /data, read_only: true}]}",
        ),
    ] {
        let bench = bench();
        let one = pass(&bench, '1', &format!("services: {{db: {first}}}"));
        assert!(
            matches!(one[0].1, MountSource::Anonymous(Some(_))),
            "{one:?}"
        );
        let two = pass(&bench, '2', &format!("services: {{db: {second}}}"));
        assert_eq!(one, two, "{first} then {second}");
    }
}

#[test]
fn they_give_way_to_what_git_says_instead_and_are_never_removed() {
    for (second, expected) in [
        ("{image: 'db:v1', tmpfs: [/data]}", MountSource::Tmpfs),
        (
            "{image: 'db:v1', volumes: ['named:/data']}",
            MountSource::Volume("shop_named".to_owned()),
        ),
    ] {
        let bench = bench();
        let one = pass(&bench, '1', "services: {db: {image: 'db:v1'}}");
        let MountSource::Anonymous(Some(volume)) = &one[0].1 else {
            panic!("{one:?}")
        };
        let compose = format!("services: {{db: {second}}}\nvolumes: {{named: }}\n");
        let two = pass(&bench, '2', &compose);
        assert_eq!(two[0].1, expected);
        assert!(bench.engine.world().volumes.contains_key(volume), "kept");
    }
}

#[test]
fn memory_in_the_place_of_a_volume_of_the_image_stays_memory() {
    let bench = bench();
    let compose = |image: &str| format!("services: {{db: {{image: '{image}', tmpfs: [/data]}}}}");
    for (digit, image) in [('1', "db:v1"), ('2', "db:v2")] {
        let mounts = pass(&bench, digit, &compose(image));
        assert_eq!(mounts[0].1, MountSource::Tmpfs);
    }
    // Taken away, the image's own volume is there, and empty.
    let mounts = pass(&bench, '3', "services: {db: {image: 'db:v2'}}");
    assert!(matches!(mounts[0].1, MountSource::Anonymous(Some(_))));
}

#[test]
fn one_whose_container_goes_for_good_is_told() {
    let bench = bench();
    let load = |digit: char, replicas: u32| {
        let compose = format!(
            "services: {{web: {{image: 'app:v1'}}, db: {{image: 'db:v1', scale: {replicas}}}}}\n"
        );
        let files = Files::from([
            ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
            ("compose.yaml".to_owned(), compose.into()),
        ]);
        bench.load(&files, digit).unwrap()
    };
    let passed = bench.pass(&load('1', 1)).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let volume = {
        let world = bench.engine.world();
        let kept = world.find("shop-db-1").unwrap();
        let MountSource::Anonymous(Some(volume)) = &kept.shown.spec.mounts["/data"].source else {
            panic!("it has none")
        };
        volume.clone()
    };
    let passed = bench.pass(&load('2', 0)).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let plan = passed.looked.plan.to_string();
    let told = format!("shop-db-1 goes, and its anonymous volume {volume} (/data) stays");
    assert!(plan.contains(&told), "{plan}");
    assert!(
        plan.contains(&format!("docker volume rm {volume}")),
        "{plan}"
    );
    assert!(bench.engine.world().find("shop-db-1").is_none());
}
