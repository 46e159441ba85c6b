//! `moored shell`: into a container or a database of a stack.

use std::io::{BufRead, Read, Write};

use super::args::ShellArguments;
use super::context::{Cli, Failure, print_text};
use super::terminal::{self, Raw, Typed};
use super::{Exit, beside};
use crate::backup::{self, Access, Console};
use crate::by_hand::{As, Inside, Room, Stack};
use crate::config;
use crate::desired::backups::{Backup, BackupName};
use crate::engine::model::Ends;
use crate::report;

pub(super) async fn shell(cli: &Cli, arguments: &ShellArguments) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::stack(&host, arguments.stack.as_deref(), As::Released).await?;
    let room = stack
        .room(&arguments.name, arguments.database)
        .map_err(|error| beside::failure(&error))?;
    if let Room::Sqlite(name, backup, _) = &room {
        return ask(cli, arguments, &stack, (name, backup));
    }
    if arguments.write {
        let error = "--write is for databases of SQLite; what else there is may change anyway";
        return Err((Exit::Usage, error.to_owned()));
    }
    talk(arguments, &stack, &room).await
}

/// Runs something in a container, with the terminal if there is one.
async fn talk(
    arguments: &ShellArguments,
    stack: &Stack<'_>,
    room: &Room<'_>,
) -> Result<Exit, Failure> {
    let input = Box::new(Typed::read());
    let (mut output, mut errors) = (tokio::io::stdout(), tokio::io::stderr());
    let raw = Raw::take();
    let raw =
        raw.map_err(|error| (Exit::Failed, format!("failed to set the terminal: {error}")))?;
    let kind = config::environment().remove("TERM");
    let inside = Inside {
        words: &arguments.command,
        user: arguments.user.as_deref(),
        terminal: kind.as_deref().filter(|_| raw.is_some()),
    };
    let ends = Ends {
        input,
        output: &mut output,
        errors: &mut errors,
        terminal: raw.is_some().then(terminal::size),
    };
    let code = stack.talk(room, inside, ends).await;
    drop(raw);
    let code = code.map_err(|error| beside::failure(&error))?;
    Ok(Exit::OfCommand(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Asks a database what is typed, or what comes through a pipe.
fn ask(
    cli: &Cli,
    arguments: &ShellArguments,
    stack: &Stack<'_>,
    (name, backup): (&BackupName, &Backup),
) -> Result<Exit, Failure> {
    if arguments.user.is_some() {
        let error = format!("{name} is a file of the host: there is no user to be");
        return Err((Exit::Usage, error));
    }
    let access = if arguments.write {
        Access::Write
    } else {
        Access::Read
    };
    let console = stack.console(backup, access);
    let console = console.map_err(|error| beside::failure(&error))?;
    if arguments.write {
        say(&format!(
            "what you change is changed at once, under a stack that may run; take a backup first: \
             moored backup now {name}\n"
        ));
    }
    if !arguments.command.is_empty() {
        return run(cli, &console, &arguments.command.join(" "));
    }
    if terminal::is_one() {
        return Ok(converse(cli, &console, access));
    }
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST).read_to_string(&mut text);
    read.map_err(|error| (Exit::Failed, format!("failed to read the input: {error}")))?;
    run(cli, &console, &text)
}

/// Bytes of statements that are taken from a pipe.
const LONGEST: u64 = 64 * 1024 * 1024;

/// What is typed for short, and what it stands for.
const SHORT: [(&str, &str); 2] = [
    (
        ".tables",
        "select name from sqlite_schema where type in ('table', 'view') and name not like \
         'sqlite%' order by name",
    ),
    (
        ".schema",
        "select sql from sqlite_schema where sql is not null order by name",
    ),
];

fn run(cli: &Cli, console: &Console, text: &str) -> Result<Exit, Failure> {
    let text = text.trim();
    let short = SHORT.iter().find(|(short, _)| *short == text);
    let text = short.map_or(text, |(_, long)| long);
    let mut printed = Ok(());
    let ran = console.run(text, |answer| {
        let text = report::answer(&answer, cli.arguments.format, &cli.redactor);
        if printed.is_ok() {
            printed = print_text(&text);
        }
    });
    ran.map_err(|error| (Exit::Failed, error.to_string()))?;
    printed.map(|()| Exit::Done)
}

/// Asks what a person types, statement by statement, until they have enough.
fn converse(cli: &Cli, console: &Console, access: Access) -> Exit {
    let mode = match access {
        Access::Read => "read only; --write lets you change",
        Access::Write => "for changes",
    };
    say(&format!(
        "opened {mode}; end a statement with ; and leave with .quit or Ctrl-D; .tables, .schema\n"
    ));
    let mut typed = String::new();
    let mut lines = std::io::stdin().lock().lines();
    loop {
        say(if typed.is_empty() { "sql> " } else { "  -> " });
        let Some(Ok(line)) = lines.next() else {
            say("\n");
            return Exit::Done;
        };
        if typed.is_empty() && [".quit", ".exit"].contains(&line.trim()) {
            return Exit::Done;
        }
        let is_short = typed.is_empty() && line.trim().starts_with('.');
        typed.push_str(&line);
        typed.push('\n');
        if !is_short && !backup::is_complete(&typed) {
            continue;
        }
        if let Err((exit, error)) = run(cli, console, &typed) {
            cli.fail(exit, &error);
        }
        typed.clear();
    }
}

/// Says something to the person beside the answers.
fn say(text: &str) {
    let mut talk = std::io::stderr();
    // Where nobody hears it, nothing is lost.
    drop(talk.write_all(text.as_bytes()).and_then(|()| talk.flush()));
}
