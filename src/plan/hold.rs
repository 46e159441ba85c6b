//! Says what is not done, and why: refusals as data, each with its words, which say what can be done
//! about it.

use serde::Serialize;

use super::Subject;
use super::diff::Reason;
use super::expiry::{Expired, ExpiresInThePast};
use super::gate::Waits;
use super::history::Pin;
use super::hold_words::{
    Lack, Second, commands, first_line, form_of, in_brackets, listed, made_by, newest, seen,
    short_id, together, why_it_stays,
};
use super::permitted::NotPermitted;
use crate::desired::{ServiceName, StackName, proxy::ProxyKind};
use crate::trust::{Rewrite, UnloadableHead, UntrustedHead};

/// Something that a pass leaves as it is, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "hold", rename_all = "kebab-case")]
pub enum Hold {
    /// This revision was tried and failed.
    #[error(
        "this revision failed in attempt {attempt}: {}; commit a change, revert it, or \
         run: moored retry",
        first_line(error)
    )]
    FailedRevision {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
    },
    /// The head of the branch does not go on from what was released.
    #[error("{0}")]
    HistoryRewritten(Rewrite),
    /// The head of the branch is not signed by anybody who may.
    #[error("{0}")]
    NotTrusted(UntrustedHead),
    /// The head of the branch says what can't be.
    #[error("{0}")]
    NotLoadable(UnloadableHead),
    /// It is to wait, or to be left alone.
    #[error("{0}")]
    Waits(Waits),
    /// An attempt failed and could not be taken back: nothing is done until a person looks.
    #[error(
        "attempt {attempt} failed and could not be taken back: {}; nothing more is done \
         by itself: look at the host, then run: moored retry",
        first_line(error)
    )]
    Stuck {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
    },
    /// This revision failed, and everything stays as it is until a person decides.
    #[error(
        "this revision failed in attempt {attempt} and stays as it is: {}; {way_out}",
        first_line(error)
    )]
    Stays {
        /// Which attempt.
        attempt: u64,
        /// What it failed with.
        error: String,
        /// What that person can do.
        way_out: String,
    },
    /// The data was changed by a migration that the wanted code does not know.
    #[error(
        "the data was migrated by attempt {live}, and this code was released on the data \
         of {}; restore a backup from before{}, or say in moored.yaml that it works: \
         accept_schema: \"{live}\"",
        form_of(*wanted),
        commands(restore, ": ", "")
    )]
    SchemaDiffers {
        /// The attempt that gave the data its form.
        live: u64,
        /// The attempt that gave it the form which the wanted code was released with.
        wanted: u64,
        /// Commands that put the backups from before back.
        restore: Vec<String>,
    },
    /// A migration was begun, and nobody knows what it has done.
    #[error(
        "attempt {attempt} began to change the data, and nobody knows how far it came; \
         {}go back to its revision; or, if you know that the data is well, say so in \
         moored.yaml: accept_schema: \"{attempt}\"",
        commands(restore, "restore the backup from before: ", "; or ")
    )]
    MigrationInDoubt {
        /// The attempt that began it.
        attempt: u64,
        /// Commands that put the backups from before back.
        restore: Vec<String>,
    },
    /// Data is put back that the running release was not released with.
    #[error(
        "the data has the form of attempt {data} then, and the release was made on that \
         of attempt {released}: its writers stay stopped and the page stays on until the \
         next pass puts in place what Git says"
    )]
    DataIsOlder {
        /// The attempt that gave the data its form.
        data: u64,
        /// The attempt that gave it the form which the running release was released with.
        released: u64,
    },
    /// The maintenance page is on, and not by us.
    #[error(
        "the maintenance page is on, by {by} ({flag}); it stays on until: moored \
         maintenance off"
    )]
    MaintenanceByHand {
        /// The file whose existence the proxy checks.
        flag: String,
        /// Who switched it on.
        by: String,
    },
    /// The maintenance page has been on for long.
    #[error("the maintenance page has been on for {minutes} minutes, by {by} ({flag}); forgotten?")]
    MaintenanceForgotten {
        /// The file whose existence the proxy checks.
        flag: String,
        /// Who switched it on.
        by: String,
        /// For how long.
        minutes: u64,
    },
    /// A backup that a schedule wants was not taken.
    #[error(
        "backup {name} is late: {}; take one: moored backup now {name}",
        newest(last.as_deref())
    )]
    BackupLate {
        /// Which one.
        name: String,
        /// When the last good one was taken; `None` = never.
        last: Option<String>,
    },
    /// The stack is kept at a release, whatever Git says.
    #[error("{}", pin.notice(stack.as_str()))]
    Pinned {
        /// Which stack.
        stack: StackName,
        /// At which release, since when.
        #[serde(flatten)]
        pin: Pin,
    },
    /// Every try of this revision was cut short, so that the stack is left as it is: safe mode.
    #[error(
        "moored was killed {times} times in a row while it put this revision in place, so that \
         the stack is left as it is (safe mode); commit a change or a revert; or find out why, and \
         run: moored retry --stack {stack}"
    )]
    Crashes {
        /// Which stack.
        stack: StackName,
        /// How often in a row.
        times: usize,
    },
    /// This revision was put in place several times in an hour and does not stay.
    #[error(
        "this revision was put in place {times} times within an hour and does not stay; \
         something else changes the containers; then run: moored retry"
    )]
    DoesNotSettle {
        /// How often.
        times: usize,
    },
    /// The stack's containers were made by another installation.
    #[error(
        "container {container} was made by another installation of moored (instance \
         {instance}); one stack has one controller"
    )]
    OtherInstance {
        /// Which one.
        instance: String,
        /// One of its containers.
        container: String,
    },
    /// A container that is not ours has the name that we need.
    #[error(
        "{service}: the name {name} is taken by a container that is not ours ({}, {}); if nobody \
         needs it: docker rm -f {name}; else give it another name: docker rename {name} \
         {name}.theirs",
        seen(id, image, state),
        made_by(compose.as_deref())
    )]
    NameTaken {
        /// For which service.
        service: ServiceName,
        /// The name.
        name: String,
        /// Its id.
        id: String,
        /// Its image.
        image: String,
        /// What it does: `running`, `exited (0)`, …
        state: String,
        /// What Docker Compose made it for, as `PROJECT/SERVICE`; `None` = it is not of Docker
        /// Compose.
        compose: Option<String>,
    },
    /// The registry has no such image.
    #[error("image {image} does not exist: {cause}")]
    ImageMissing {
        /// Which one.
        image: String,
        /// What the registry says.
        cause: String,
    },
    /// The registry does not let us have the image.
    #[error(
        "the registry does not let this host have image {image}: {cause}; log in there as \
         somebody who may pull it: docker login"
    )]
    ImageDenied {
        /// Which one.
        image: String,
        /// What the registry says, and how it was asked.
        cause: String,
    },
    /// The image is not on the host and the registry can't be asked for now.
    #[error("image {image} is not on this host and can't be looked up for now: {cause}")]
    ImageUnknown {
        /// Which one.
        image: String,
        /// What stands in the way.
        cause: String,
    },
    /// The image is not on the host, and Git says that it is not pulled.
    #[error(
        "image {image} is not on this host, and pull_policy: never says that it is not \
         pulled; bring it here (docker pull {image}, or docker load), or say another \
         pull_policy"
    )]
    ImageNotPulled {
        /// Which one.
        image: String,
    },
    /// Nobody says whether there is another image under a tag by now; the one that is here stays.
    #[error(
        "image {image}: the registry does not say whether there is another one by now, so \
         the one that is here stays: {cause}"
    )]
    RegistrySilent {
        /// Which one.
        image: String,
        /// What stands in the way.
        cause: String,
    },
    /// A tag stands for another image by now.
    #[error(
        "image {image}: its tag stands for another image by now ({}); this host goes on with the one \
         that it has. Name the one that is meant by a tag of its own, or by its digest as `moored promote` \
         does; `pull_policy: daily` takes whatever the tag stands for",
        short_id(digest.strip_prefix("sha256:").unwrap_or(digest))
    )]
    TagMoved {
        /// Which one.
        image: String,
        /// What the registry has there, `sha256:…`.
        digest: String,
    },
    /// The engine's API is too old for what Git asks for.
    #[error(
        "the engine speaks API {api} and is too old for {}; nothing is changed: leave \
         that out, or upgrade to Docker Engine {needs} or later",
        listed(lacks)
    )]
    EngineTooOld {
        /// The version that the engine speaks.
        api: String,
        /// The first release of Docker Engine that has everything.
        needs: String,
        /// Everything that it is too old for.
        lacks: Vec<Lack>,
    },
    /// Git asks the engine for what the host's settings do not permit.
    #[error("{0}")]
    NotPermitted(NotPermitted),
    /// A network or volume that must be there is not.
    #[error(
        "{kind} {name} is declared external and does not exist; create it first: docker \
         {kind} create {name}"
    )]
    ExternalMissing {
        /// `network` or `volume`.
        kind: String,
        /// Its name.
        name: String,
    },
    /// A network of this name is somebody else's.
    #[error("network {name} exists and does not belong to this stack")]
    NetworkTaken {
        /// Its name.
        name: String,
    },
    /// A network of the stack differs, and containers of others are in it.
    #[error(
        "network {name}: {what} differ; it would have to be made again, and containers of \
         others are in it: {}; disconnect them first: docker network disconnect {name} \
         CONTAINER",
        containers.join(", ")
    )]
    NetworkInUse {
        /// Its name.
        name: String,
        /// In what it differs.
        what: String,
        /// Names of the others' containers.
        containers: Vec<String>,
    },
    /// A network or volume is there and differs; changing it would take it away first.
    #[error("{kind} {name}: {what} differ; {}", why_it_stays(kind))]
    Differs {
        /// `network` or `volume`.
        kind: String,
        /// Its name.
        name: String,
        /// In what.
        what: String,
    },
    /// Something was changed by hand and the stack says to report that only.
    #[error("{service}: changed by hand ({}); only reported", together(reasons))]
    DriftReported {
        /// What of.
        service: Subject,
        /// In what.
        reasons: Vec<Reason>,
    },
    /// The proxy does not say what it has loaded.
    #[error("{proxy} does not say which configuration it has loaded: {cause}; is it running?")]
    ProxyAway {
        /// Which program.
        proxy: ProxyKind,
        /// What came instead.
        cause: String,
    },
    /// The proxy's container is not there.
    #[error(
        "the proxy's container {container} does not exist; start it, or name another one \
         in moored.yaml"
    )]
    ProxyMissing {
        /// Its name.
        container: String,
    },
    /// The proxy's container has no mount through which it would see a file.
    #[error(
        "container {container} has no directory or file of the host at {path}; mount one \
         there, so that the configuration can be put in place"
    )]
    ProxyNotMounted {
        /// Its name.
        container: String,
        /// The file, as the proxy reads it.
        path: String,
    },
    /// A container of ours belongs to a service that Git no longer names.
    #[error("container {container} belongs to no service any more; prune: true removes it")]
    Orphan {
        /// Its name.
        container: String,
    },
    /// A container goes, and data of its own stays.
    #[error(
        "container {container} goes, and its anonymous volume {volume} ({target}) stays: no other \
         container gets it; if nobody needs what is in it: docker volume rm {volume}"
    )]
    VolumeStays {
        /// Its name.
        container: String,
        /// The volume.
        volume: String,
        /// Where the container has it.
        target: String,
    },
    /// A container of ours that belongs to no service any more, and stays, has what a service needs.
    #[error(
        "{service}: container {container} belongs to no service any more, and has {what}; say \
         prune: true in moored.yaml, so that it makes way and goes; or remove it: docker rm -f \
         {container}"
    )]
    OrphanInTheWay {
        /// Which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// What it has: `port 8080/tcp`, …
        what: String,
    },
    /// A container that Docker Compose made stands in a service's place, and the plan would do
    /// something to it that nobody has agreed to.
    #[error(
        "{service}: container {container} ({}) was made by Docker Compose, and this would \
         {} it{}; nothing is done before you say that it is ours: moored adopt {stack}",
        short_id(id),
        would.join(" and "),
        in_brackets(reasons)
    )]
    NotAdopted {
        /// Of which stack.
        stack: StackName,
        /// In the place of which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// Its id.
        id: String,
        /// What would be done to it, as the plan calls it.
        would: Vec<String>,
        /// In what it differs from Git.
        reasons: Vec<Reason>,
    },
    /// More of the stack's services would lose their containers at once than a slip may cost.
    #[error(
        "prune: true would take their containers from {lose} of {of} services at once \
         ({}); if that is meant, remove them by hand: docker rm -f {}",
        containers.join(", "),
        containers.join(" ")
    )]
    PrunesTooMuch {
        /// Names of the containers.
        containers: Vec<String>,
        /// How many services lose theirs.
        lose: usize,
        /// How many services have one now.
        of: usize,
    },
    /// The lifetime of the stack is over: what runs of it goes, or has gone.
    #[error("{0}")]
    Expired(Expired),
    /// Git gives the stack an end that was over before anything was released with it.
    #[error("{0}")]
    ExpiresInThePast(ExpiresInThePast),
    /// Git names no service of the stack any more.
    #[error(
        "Git names no service of this stack any more; nothing is changed: bring its \
         services back, or remove its containers by hand"
    )]
    NoServices,
    /// A container that Docker Compose made for the stack's project belongs to no service.
    #[error(
        "container {container} was made by Docker Compose for a project of this name, and \
         belongs to no service; it is left as it is"
    )]
    NotOfStack {
        /// Its name.
        container: String,
    },
    /// A second container carries the labels of a service.
    #[error(
        "container {container} ({}) carries the labels of {service} and is not the one that \
         serves; {}",
        seen(id, image, state),
        whose.way_out(service, container)
    )]
    Duplicate {
        /// Which service.
        service: ServiceName,
        /// Its name.
        container: String,
        /// Its id.
        id: String,
        /// Its image.
        image: String,
        /// What it does: `running`, `exited (0)`, …
        state: String,
        /// Whose it is.
        whose: Second,
    },
    /// A container runs and its health check fails; making it again would not mend that.
    #[error("{service}: runs as Git says and its health check fails")]
    Unhealthy {
        /// Which service.
        service: ServiceName,
    },
    /// A container that nothing restarts has ended with success, again and again: a job.
    #[error(
        "{service}: ends with success each time that it is started, and is left so; if it \
         is a job, let another service depend on it with service_completed_successfully; \
         if not, give it a restart policy"
    )]
    Ended {
        /// Which service.
        service: ServiceName,
    },
    /// A container ends again and again; the engine restarts it.
    #[error("{service}: ends again and again; the engine restarts it")]
    Restarting {
        /// Which service.
        service: ServiceName,
    },
}
