//! `proxy`: real nginx and Caddy on this host, in directories and on ports of their own.

mod caddy;
mod child;
mod nginx;
mod snippets;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use moored::files::Mode;
use moored::proxy::{HostProxy, ProxyError, Shape, stage as stage_to};
use tempfile::TempDir;
use url::Url;

/// Files by their path in a directory; `None` = absent.
type Changes = BTreeMap<PathBuf, Option<(Vec<u8>, Mode)>>;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_moored"))
}

fn changes(files: &[(&str, Option<&str>)]) -> Changes {
    files
        .iter()
        .map(|(path, text)| {
            let content = text.map(|text| (text.as_bytes().to_vec(), Mode::Plain));
            (PathBuf::from(path), content)
        })
        .collect()
}

/// Tests a proxy with changes in one of its directories or files.
async fn test_with(
    proxy: &HostProxy,
    real: &Path,
    files: &[(&str, Option<&str>)],
) -> Result<Shape, ProxyError> {
    let staging = TempDir::new().unwrap();
    let copy = staging.path().join("copy");
    stage_to(real, &changes(files), &copy)?;
    let staged = BTreeMap::from([(real.to_owned(), copy)]);
    proxy.test(program(), &staged).await
}

fn marker(port: u16) -> Url {
    format!("http://127.0.0.1:{port}/moored").parse().unwrap()
}

async fn prove(marker: &Url, wanted: &str, within: Duration) -> Result<(), ProxyError> {
    moored::proxy::prove(marker, wanted, within, &|_| {}).await
}

async fn loaded(marker: &Url) -> String {
    moored::proxy::loaded(marker, ENOUGH).await.unwrap()
}

/// Time for what must come true.
const ENOUGH: Duration = Duration::from_secs(20);

/// Time for what must not.
const SHORT: Duration = Duration::from_millis(600);
