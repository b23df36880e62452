//! Open, verify and run bundles.
