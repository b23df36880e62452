//! The exporter against receivers that fail in all the ways that receivers do.

mod faults;
mod killed;
mod receiver;
mod session;
