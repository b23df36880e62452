//! The sandbox over guests written by hand: what it answers, and what it does with guests that lie, loop, trap, panic and
//! explode, with caches that were tampered with, with many instances and many threads.

mod answers;
mod cache;
mod lies;
mod many;
mod stops;
mod support;
