//! Moored keeps Docker hosts moored to a Git repository.
//!
//! The modules in the order in which data flows through them:
//! [`source`] → [`desired`], [`engine`] → [`observe`] → [`plan`] → [`execute`] → [`record`] →
//! [`report`]. [`reconcile`] shows one pass through all of them; read it first. [`controller`]
//! is the only loop; only [`cli`] and [`report`] write for people. [`events`] carries what a pass
//! tells while it works. [`trust`] says whose commits are followed, [`policy`] what they may ask of
//! the engine, [`sops`] decrypts what `desired` finds encrypted, and [`registries`] says how to log
//! in where images are. [`check`] reads a state repository away from its hosts, [`snapshot`]
//! plans against one there, and [`init`] writes the first manifest. [`web`] is what the controller listens to.
//!
//! Leaves that every room may use: [`bell`], [`config`], [`clock`], [`diagnostic`], [`document`],
//! [`files`], [`gates`], [`labels`], [`lock`], [`permits`], [`program`], [`routes`], [`secret`],
//! [`table`], [`yaml`].

pub mod alerts;
pub mod backup;
pub mod bell;
pub mod by_hand;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod desired;
pub mod diagnostic;
pub mod doctor;
pub mod document;
pub mod engine;
pub mod events;
pub mod execute;
pub mod files;
pub mod gates;
pub mod host;
pub mod init;
pub mod journal;
pub mod kept;
pub mod labels;
pub mod lock;
pub mod logs;
pub mod maintenance;
pub mod observe;
pub mod pass;
pub mod permits;
pub mod plan;
pub mod policy;
pub mod probe;
pub mod program;
pub mod promote;
pub mod proxy;
pub mod reconcile;
pub mod record;
pub mod registries;
pub mod report;
pub mod rollback;
pub mod routes;
pub mod schedule;
pub mod secret;
pub mod snapshot;
pub mod sops;
pub mod source;
pub mod stacks;
pub mod table;
pub mod trust;
pub mod web;
pub mod yaml;

// The engine in memory, which unit tests share with those in `tests/it`, names this crate.
#[cfg(test)]
extern crate self as moored;
