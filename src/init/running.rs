//! Lists the projects that Docker Compose runs, by the labels of their containers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engine::model::{Container, ContainerSummary};
use crate::engine::{EngineError, ReadEngine};
use crate::labels;

/// A project that Docker Compose runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Where its relative paths begin.
    pub directory: PathBuf,
    /// Its Compose files, later ones over earlier ones.
    pub files: Vec<PathBuf>,
    /// Files with values that it was started with (`--env-file`); empty = its `.env`.
    pub variable_files: Vec<PathBuf>,
    /// Ids of its containers, by service.
    pub ids: BTreeMap<String, String>,
}

/// Returns the projects that run on an engine, by their names.
///
/// # Errors
/// The engine can't be asked.
pub async fn running(engine: &dyn ReadEngine) -> Result<BTreeMap<String, Running>, EngineError> {
    Ok(of_containers(engine.containers().await?))
}

/// Shows the containers of a project, by service.
///
/// # Errors
/// The engine can't be asked.
pub async fn containers(
    engine: &dyn ReadEngine,
    project: &Running,
) -> Result<BTreeMap<String, Container>, EngineError> {
    let mut found = BTreeMap::new();
    for (service, id) in &project.ids {
        // One that has gone since the list was made is simply not there.
        if let Some(container) = engine.container(id).await? {
            found.insert(service.clone(), container);
        }
    }
    Ok(found)
}

/// What the containers of one start have in common.
type Start = (PathBuf, Vec<PathBuf>, Vec<PathBuf>);

fn of_containers(all: Vec<ContainerSummary>) -> BTreeMap<String, Running> {
    let mut projects: BTreeMap<String, Vec<ContainerSummary>> = BTreeMap::new();
    for one in all.into_iter().filter(is_of_compose) {
        if let Some(name) = one.labels.get(labels::PROJECT) {
            projects.entry(name.clone()).or_default().push(one);
        }
    }
    let projects = projects.into_iter();
    let projects = projects.filter_map(|(name, all)| Some((name, project(&all)?)));
    projects.collect()
}

fn is_of_compose(one: &ContainerSummary) -> bool {
    one.running
        && one.labels.contains_key(labels::SERVICE)
        && one.labels.contains_key(labels::CONFIG_HASH)
        && one
            .labels
            .get(labels::ONEOFF)
            .is_some_and(|it| it == "False")
        && !one.labels.contains_key(labels::INSTANCE)
}

fn project(all: &[ContainerSummary]) -> Option<Running> {
    // Single services may have been started another way: what most of them have counts.
    let mut starts: BTreeMap<Start, usize> = BTreeMap::new();
    for start in all.iter().filter_map(start) {
        *starts.entry(start).or_default() += 1;
    }
    let most = starts.into_iter().max_by_key(|(_, count)| *count);
    let ((directory, files, variable_files), _) = most?;
    let mut ids: BTreeMap<String, (u32, String)> = BTreeMap::new();
    for one in all {
        let number = one.labels.get(labels::NUMBER);
        let number = number.and_then(|text| text.parse().ok()).unwrap_or(1);
        let service = one.labels.get(labels::SERVICE).cloned();
        let known = ids.entry(service.unwrap_or_default());
        let first = known.or_insert_with(|| (number, one.id.clone()));
        if number < first.0 {
            *first = (number, one.id.clone());
        }
    }
    Some(Running {
        directory,
        files,
        variable_files,
        ids: ids
            .into_iter()
            .map(|(service, (_, id))| (service, id))
            .collect(),
    })
}

fn start(one: &ContainerSummary) -> Option<Start> {
    let directory = PathBuf::from(one.labels.get(labels::WORKING_DIR)?);
    let paths = |label: &str| -> Vec<PathBuf> {
        let text = one.labels.get(label).map_or("", String::as_str);
        // Version 1 wrote them as they were given.
        let named = text.split(',').filter(|path| !path.is_empty());
        named.map(|path| join(&directory, path)).collect()
    };
    let files = paths(labels::CONFIG_FILES);
    let variable_files = paths(labels::ENVIRONMENT_FILE);
    Some((directory, files, variable_files))
}

fn join(directory: &Path, path: &str) -> PathBuf {
    directory.join(path.strip_prefix("./").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, of: &[(&str, &str)]) -> ContainerSummary {
        let of = of.iter();
        let mut all: BTreeMap<String, String> = of
            .map(|(name, value)| (format!("com.docker.compose.{name}"), (*value).to_owned()))
            .collect();
        for (name, value) in [
            (labels::PROJECT, "shop"),
            (labels::CONFIG_HASH, "0123"),
            (labels::ONEOFF, "False"),
            (labels::WORKING_DIR, "/opt/shop"),
        ] {
            all.entry(name.to_owned())
                .or_insert_with(|| value.to_owned());
        }
        ContainerSummary {
            id: id.to_owned(),
            name: id.to_owned(),
            image: String::new(),
            labels: all,
            running: true,
            networks: std::collections::BTreeSet::new(),
        }
    }

    #[test]
    fn a_project_is_what_most_of_its_containers_say() {
        let files = ("project.config_files", "/opt/shop/a.yaml,/opt/shop/b.yaml");
        let env = ("project.environment_file", "/etc/shop.env");
        let found = of_containers(vec![
            one(
                "w2",
                &[("service", "web"), ("container-number", "2"), files, env],
            ),
            one(
                "w1",
                &[("service", "web"), ("container-number", "1"), files, env],
            ),
            one(
                "d1",
                &[("service", "db"), ("project.config_files", "c.yaml")],
            ),
            one("o1", &[("service", "db"), ("oneoff", "True"), files]),
            one(
                "x1",
                &[
                    ("project", "blog"),
                    ("service", "db"),
                    ("project.config_files", "./c.yml"),
                ],
            ),
        ]);
        let shop = &found["shop"];
        assert_eq!(shop.directory, Path::new("/opt/shop"));
        let paths = ["/opt/shop/a.yaml", "/opt/shop/b.yaml"].map(PathBuf::from);
        assert_eq!(shop.files, paths);
        assert_eq!(shop.variable_files, [PathBuf::from("/etc/shop.env")]);
        let ids = [("db", "d1"), ("web", "w1")];
        let ids = ids.map(|(service, id)| (service.to_owned(), id.to_owned()));
        assert_eq!(shop.ids, ids.into());
        assert_eq!(found["blog"].files, [PathBuf::from("/opt/shop/c.yml")]);
        assert_eq!(found["blog"].variable_files, [""; 0].map(PathBuf::from));
    }

    #[test]
    fn what_is_stopped_or_ours_is_no_project() {
        let mut stopped = one("w1", &[("service", "web")]);
        stopped.running = false;
        let mut ours = one("w2", &[("service", "web")]);
        ours.labels
            .insert(labels::INSTANCE.to_owned(), "i".to_owned());
        assert!(of_containers(vec![stopped, ours]).is_empty());
    }
}
