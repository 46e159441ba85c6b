//! Configurations of a proxy in a container that are refused before anything is touched.

use std::fs;

use super::proxy_stage::{Front, site};
use crate::support::docker_cli::docker;

#[test]
fn what_the_test_finds_out_is_refused_before_anything_is_touched() {
    let front = Front::service(
        "refused",
        "nginx",
        &["./nginx/site.conf:/etc/nginx/conf.d/site.conf:ro"],
        "configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}",
    );
    let more = "server { listen 81; server_name more.example; }\n";
    let one = site("one", "") + more;
    front.commit("one", &[("nginx/site.conf", &one)]);
    front.stage.reconcile();
    front.serves("one");
    let live = front.project("nginx");
    let tls = "server { listen 443 ssl; ssl_certificate /certs/c; ssl_certificate_key /certs/k; }";
    let by_name = "    location /x { proxy_pass http://nobody.invalid; }\n";
    for (text, says) in [
        (
            one.replace("return 200", "retrun 200"),
            vec!["unknown directive \"retrun\""],
        ),
        (
            one.replace("listen 80", "listen 80;;"),
            vec!["unexpected \";\""],
        ),
        (format!("{one}{tls}"), vec!["/certs/c"]),
        (
            site("x", by_name) + more,
            vec!["host not found in upstream \"nobody.invalid\""],
        ),
        (
            site("x", ""),
            vec!["listener 81", "server name more.example", "allow_shrink"],
        ),
        (
            one.replace(" shop.example", " blog.example"),
            vec!["server name shop.example on 80"],
        ),
        (
            "# @moored.marker@\n".to_owned(),
            vec!["it would serve nothing"],
        ),
    ] {
        front.stage.commit("wrong", &[("nginx/site.conf", &text)]);
        front.refused(&live, &says);
    }
    // Going back is not a change at all.
    front.stage.commit("back", &[("nginx/site.conf", &one)]);
    front.stage.reconcile();
    front.serves("one");
    front.quiet();
    let lives = front.lives();
    front.commit_with(
        "less",
        "allow_shrink: true",
        "",
        &[("nginx/site.conf", &site("two", ""))],
    );
    front.stage.reconcile();
    front.serves("two");
    assert_eq!(front.get("/__moored"), front.release());
    assert_eq!(front.lives(), lives);
    front.quiet();
}

#[test]
fn what_only_the_proof_finds_out_is_taken_back_and_held() {
    let front = Front::service(
        "proof",
        "nginx",
        &["./nginx/site.conf:/etc/nginx/conf.d/site.conf:ro"],
        "configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}",
    );
    let one = site("one", "");
    front.commit("one", &[("nginx/site.conf", &one)]);
    front.stage.reconcile();
    front.serves("one");
    let (name, file) = (
        front.stage.container("front"),
        front.project("nginx/site.conf"),
    );
    let (marker, live) = (front.get("/__moored"), fs::read(&file).unwrap());
    let lives = front.lives();

    // Somebody listens there inside the container: the test, in another one, can't know, and
    // `nginx -s reload` ends with 0.
    docker(&["exec", "--detach", &name, "httpd", "-f", "-p", "8081"]);
    let more = "server { listen 8081; server_name more.example; }\n";
    front
        .stage
        .commit("two", &[("nginx/site.conf", &(site("two", "") + more))]);
    let failed = front
        .pass()
        .exits(1)
        .says(&["did not answer", "another configuration is loaded"]);
    assert!(failed.out.contains("rolled back"), "{}", failed.out);
    assert_eq!(fs::read(&file).unwrap(), live);
    assert_eq!(front.get("/__moored"), marker);
    front.serves("one");
    assert_eq!(front.lives(), lives);
    front.pass().exits(75).says(&["did not answer"]);
    front.stage.revert();
    front.stage.reconcile();
    front.serves("one");
    front.quiet();
    assert_eq!(front.lives(), lives);
}
