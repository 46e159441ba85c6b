//! [`moored::engine::docker::Docker`] against a real engine, with the CLI as the outside eye.

mod equal;
mod files;
mod inside;
mod reads;
mod registry;
mod round_trip;
mod round_trip_more;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use moored::engine::docker::Docker;
use moored::engine::model::{Container, ContainerSpec, ContainerState, Endpoint};
use moored::engine::{EngineError, ReadEngine as _, WriteEngine as _};
use moored::secret::Sensitive;

use crate::support::docker_cli::{ENDPOINT, Sandbox};

fn engine() -> Docker {
    Docker::connect(ENDPOINT).expect("a good endpoint")
}

/// A container that sleeps, on the default bridge, and ends at once when asked to.
fn sleeper(image: &str) -> ContainerSpec {
    ContainerSpec {
        image: image.to_owned(),
        command: Some(words(&["sleep", "600"])),
        network_mode: "bridge".to_owned(),
        init: Some(true),
        ..ContainerSpec::default()
    }
}

/// An image, and a running [`sleeper`] with it; returns its id.
async fn running(sandbox: &Sandbox, engine: &Docker, name: &str) -> String {
    let image = sandbox.image(name, &[]);
    let name = sandbox.name(name);
    let id = engine
        .create_container(&name, &sleeper(&image))
        .await
        .expect("it can be made");
    engine.start_container(&id).await.expect("it starts");
    id
}

async fn read(engine: &Docker, id: &str) -> Container {
    engine
        .container(id)
        .await
        .expect("the engine answers")
        .expect("the container exists")
}

async fn wait_for(engine: &Docker, id: &str, what: &str, holds: impl Fn(&Container) -> bool) {
    for _ in 0..300 {
        if holds(&read(engine, id).await) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("never came true: {what}");
}

fn is_exited(container: &Container) -> bool {
    matches!(container.state, ContainerState::Exited { .. })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn env(pairs: &[(&str, Option<&str>)]) -> BTreeMap<String, Option<Sensitive>> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.map(Sensitive::new)))
        .collect()
}

fn networks(places: &[(&str, &[&str])]) -> BTreeMap<String, Endpoint> {
    places
        .iter()
        .map(|(name, aliases)| ((*name).to_owned(), place(aliases)))
        .collect()
}

fn place(aliases: &[&str]) -> Endpoint {
    Endpoint {
        aliases: set(aliases),
        ..Endpoint::default()
    }
}

/// The words of an error, after a check of its kind.
macro_rules! expect_error {
    ($answer:expr, $kind:ident) => {{
        let error = $answer.expect_err("an error");
        assert!(matches!(error, EngineError::$kind { .. }), "{error:?}");
        error.to_string()
    }};
}
use expect_error;
