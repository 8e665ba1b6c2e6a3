//! Wire types of the Functions API v1alpha2, as its document and `docs/api.md` have them.

pub mod application;
pub mod container;
pub mod cron;
pub mod error;
pub mod function;
pub mod log;
pub mod namespace;
pub mod page;
pub mod token;
pub mod upload;
pub mod usage;

pub use application::{ApplicationStatus, Privacy};
pub use container::{Container, Containers, CreateContainer, UpdateContainer};
pub use cron::{CreateCron, Cron, CronRun, CronRunState, CronStatus, Crons, UpdateCron};
pub use error::{ApiError, ArgumentDetail, ArgumentReason, PermissionDetail, QuotaDetail};
pub use function::{CreateFunction, Function, Functions, Runtimes, UpdateFunction};
pub use log::{Log, LogOrder, Logs};
pub use namespace::{
    CreateNamespace, Namespace, NamespaceStatus, Namespaces, RegistryNamespace, UpdateNamespace,
};
pub use page::{OrderBy, Page};
pub use token::IssuedToken;
pub use upload::PresignedUrl;
pub use usage::{Usage, UsageDay};
