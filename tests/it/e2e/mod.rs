//! The `moored` program as its users have it: real Git repositories, a real engine, nothing but
//! the command line. What it did is checked from outside, with the Docker CLI and over HTTP.
//!
//! One controller an engine is a rule of the program, so these tests run one at a time: each holds
//! a [`stage::Stage`], and a stage holds a lock that other test processes honour too.

mod canary;
pub(crate) mod running;
pub(crate) mod stage;
mod standin;
pub(crate) mod turn;

mod adopt;
mod adopt_systems;
mod adopt_v1;
mod blue_green;
mod blue_green_data;
mod blue_green_kill;
mod blue_green_site;
mod command_line;
mod controller;
mod converge;
mod differential;
mod doctor;
mod drift;
mod engine_killed;
mod events;
mod failure;
mod faults;
mod init;
mod kill;
mod kill_deploy;
mod lifetime;
mod logs;
mod maintenance;
mod migrate;
mod networks;
mod newer;
mod notify;
mod places;
pub(crate) mod play;
mod policy;
mod promote;
mod proxy_drift;
mod proxy_host;
mod proxy_refused;
mod proxy_rules;
mod proxy_service;
mod proxy_stage;
mod proxy_tls;
mod quiet;
mod readiness;
mod registry;
mod registry_login;
pub(crate) mod restore;
mod rollback;
mod safety;
mod second;
mod secrets;
mod shell;
mod snapshot;
mod turns;
mod vehicles;
mod webhook;
