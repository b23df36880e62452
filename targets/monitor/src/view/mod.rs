//! What the store holds, in the terms of the pages: the documents of the API.

mod devices;
mod distributions;
mod timeline;
mod totals;

pub use devices::{DeviceList, Hours, device_history, devices};
pub use distributions::{Distributions, distributions};
pub use timeline::{Overview, OverviewRow, Timeline, overview, timeline};
pub use totals::Totals;
