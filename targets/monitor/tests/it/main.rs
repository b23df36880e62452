//! A running monitor, spoken to as devices, people and attackers do.

mod alerts;
mod api;
mod faults;
mod page;
mod receive;
mod support;
