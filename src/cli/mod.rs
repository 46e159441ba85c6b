//! How a person asks: arguments in, text and exit code out. The only place that prints results.

mod args;
mod backup;
mod beside;
mod by_hand;
mod check;
mod context;
mod doctor;
mod exit;
mod init;
mod logs;
mod look;
mod pass;
mod project;
mod promote;
mod render;
mod retry;
mod rollback;
mod run;
mod shell;
mod snapshot;
mod suspend;
mod terminal;
mod try_routes;

pub use exit::Exit;
pub use run::run;
