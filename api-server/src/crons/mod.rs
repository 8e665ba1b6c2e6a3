//! Crons: when they tick.

mod schedule;

pub use schedule::{FieldProblem, Schedule, ScheduleError};
