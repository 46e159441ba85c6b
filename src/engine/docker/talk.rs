//! Lets a person talk to a command inside a container, with or without a terminal.

use bollard::exec::ResizeExecOptions;
use tokio::sync::watch;

use super::connection::{CALL_LIMIT, Docker};
use super::error;
use super::exec::{Out, Started};
use crate::engine::EngineError;
use crate::engine::model::{Ends, Exec, TerminalSize};

impl Docker {
    /// Runs a command for a person; see [`crate::engine::WriteEngine::talk`].
    pub(super) async fn talk_inside(
        &self,
        id: &str,
        exec: &Exec<'_>,
        ends: Ends<'_>,
    ) -> Result<i64, EngineError> {
        let program = exec.command.first().map_or("nothing", String::as_str);
        let verb = format!("run {program} in");
        match self.talk_unnamed(&verb, id, exec, ends).await {
            Ok(code) => Ok(code),
            Err(failure) => Err(error::renamed(failure, self.doing(&verb, id).await)),
        }
    }

    async fn talk_unnamed(
        &self,
        verb: &str,
        id: &str,
        exec: &Exec<'_>,
        ends: Ends<'_>,
    ) -> Result<i64, EngineError> {
        let has_terminal = ends.terminal.is_some();
        let started = self.begin(verb, id, exec, true, has_terminal);
        let Started {
            run,
            frames,
            to_program,
        } = started.await?;
        let mut out = Out::live(ends.output, ends.errors);
        let pump = run.pump(Some(ends.input), to_program, frames, &mut out);
        let done = match ends.terminal {
            None => pump.await,
            Some(size) => tokio::select! {
                done = pump => done,
                never = self.keep_size(verb, run.made(), size) => match never {},
            },
        };
        let (_, came) = done?;
        run.code(&came).await
    }

    /// Tells the terminal of a command how large it is, and each time that this changes.
    async fn keep_size(
        &self,
        verb: &str,
        made: &str,
        mut size: watch::Receiver<TerminalSize>,
    ) -> std::convert::Infallible {
        loop {
            let now = *size.borrow_and_update();
            if let Ok(client) = self.client(verb).await {
                let options = ResizeExecOptions {
                    height: now.rows,
                    width: now.columns,
                };
                let told = client.resize_exec(made, options);
                // The command may have ended: then the conversation does, too.
                drop(self.call(verb, CALL_LIMIT, told).await);
            }
            if size.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
