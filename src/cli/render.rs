//! The subcommand `render`: prints what Compose files come to.

use std::io::Write;

use super::Exit;
use super::args::RenderArguments;
use super::context::{Cli, Failure, print_text};
use super::project::Project;
use crate::config;
use crate::desired::compose::load::{Model, load};
use crate::desired::compose::print;
use crate::report::Format;

pub(super) fn render(cli: &Cli, arguments: &RenderArguments) -> Result<Exit, Failure> {
    let project = Project::find(arguments, config::environment())?;
    let lookup = |name: &str| project.variables.get(name).cloned();
    let model = load(&project.request, &lookup, &project.files);
    let model = model.map_err(|found| (Exit::BadState, found.to_string()))?;
    warn(&project, &model);
    let text = match cli.arguments.format {
        Format::Json => print::json(&model.tree),
        Format::Text | Format::Yaml | Format::Markdown => print::yaml(&model.tree),
    };
    let text = text.map_err(|why| (Exit::BadState, why))?;
    print_text(&text).map(|()| Exit::Done)
}

fn warn(project: &Project, model: &Model) {
    let found = model.warnings.iter().map(ToString::to_string);
    for warning in project.warnings.iter().cloned().chain(found) {
        // Who can't be told goes without: the model is what counts.
        writeln!(std::io::stderr(), "warning: {warning}").unwrap_or_default();
    }
}
