//! A target graph: declare, plan, run.
//!
//! The semantics are Nuke's, repaired: `depends_on` pulls in and orders, `after` only orders, `requires` is checked
//! before anything runs, `only_when` skips with a reason, `proceed_after_failure` lets dependents run after a failure.
//! Independent targets run concurrently. This room does not know docker, registries or releases; it reports events to a
//! [`Listener`] and never prints.

mod event;
mod outcome;
mod plan;
mod render;
mod run;
mod target;

pub use event::{Event, Level, Listener};
pub use outcome::{Row, Status, Summary};
pub use plan::{Graph, Plan, Step, same_name};
pub use target::{Context, Target, TargetResult};

#[cfg(test)]
mod tests;
