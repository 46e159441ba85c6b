//! moltfund: two images with one tag, `SQLite`, nginx in a container.

mod deploys;
mod front;
mod records;
mod set_up;

use crate::e2e::play::Play;
use crate::support::docker_cli::docker;

/// Sets up its host, with a state repository and a registry, and releases a first version.
fn host(area: &str, first: &str) -> Play {
    let play = Play::moltfund(&format!("m-{area}")).published();
    play.first(first, &[]);
    play.quiet();
    play
}

impl Play {
    /// Returns ids and start times of all containers.
    fn lives(&self) -> String {
        let names = self.stage.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let format = ["inspect", "--format", "{{.Id}} {{.State.StartedAt}}"];
        docker(&[&format, names.as_slice()].concat())
    }

    /// Checks by the engine and over HTTP that both services run this version.
    #[track_caller]
    fn runs(&self, tag: &str) {
        self.serves(tag);
        for service in ["api", "web"] {
            let image = format!("{}{service}:{tag}", self.system.own.base());
            assert_eq!(self.stage.image(service), image);
        }
        let front = self.system.get("/").unwrap().json().unwrap();
        assert_eq!(front["version"], tag, "{front}");
    }
}
