//! Limits and defaults of the API, in one place. Units are in the names.

/// Memory limits that may be chosen, in MB, with the CPU that comes with each, in thousandths of a core
/// (the document's table).
pub const MEMORY_TO_CPU: [(u32, u32); 4] = [(128, 70), (256, 140), (512, 280), (1024, 560)];
/// Memory of a function that names none, in MB.
pub const DEFAULT_MEMORY_MB: u32 = 256;
/// `min_scale` of a function that names none.
pub const DEFAULT_MIN_SCALE: u32 = 0;
/// `max_scale` of a function that names none.
pub const DEFAULT_MAX_SCALE: u32 = 20;
/// One invocation's limit where none is named, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 300_000;

/// Requests at once in one instance of a container that names no `max_concurrency`.
pub const DEFAULT_CONTAINER_CONCURRENCY: u32 = 80;

/// CPU in thousandths of a core for a memory limit in MB; `None` when the limit is not one of the table.
#[must_use]
pub fn cpu_of_memory(memory_mb: u32) -> Option<u32> {
    MEMORY_TO_CPU.iter().find(|(memory, _)| *memory == memory_mb).map(|(_, cpu)| *cpu)
}

/// Limits of the API (`docs/api.md`), each named in its refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiLimits {
    /// Highest `max_scale`.
    pub max_scale: u32,
    /// Highest `max_concurrency`.
    pub max_concurrency: u32,
    /// Highest `timeout`, in milliseconds.
    pub timeout_ms: u64,
    /// Largest page; a larger `page_size` is clamped.
    pub page_size: u32,
    /// Most environment variables of one resource.
    pub variables: usize,
    /// Longest value of an environment variable, in bytes.
    pub variable_bytes: usize,
    /// Largest request body of the API, in bytes.
    pub body_bytes: usize,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            max_scale: 100,
            max_concurrency: 1000,
            timeout_ms: 900_000,
            page_size: 100,
            variables: 100,
            variable_bytes: 8 << 10,
            body_bytes: 1 << 20,
        }
    }
}

/// How many of each an organization may have in a region at most (`docs/api.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Namespaces.
    pub namespaces: u64,
    /// Functions, in all namespaces together.
    pub functions: u64,
    /// Containers, in all namespaces together.
    pub containers: u64,
    /// Crons, of all applications together.
    pub crons: u64,
}

/// A quota that can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuota {
    /// No `NAME=NUMBER`.
    #[error("{0:?} is not NAME=NUMBER, such as functions=500")]
    Form(String),
    /// There is no such quota.
    #[error("{0:?} is no quota; there are namespaces, functions, containers, crons")]
    Name(String),
    /// Not a whole number.
    #[error("{1:?} is not a whole number: how many {0} an organization may have in a region")]
    Number(String, String),
}

impl Quotas {
    /// Sets one, as `functions=500` says it.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn set(&mut self, text: &str) -> Result<(), InvalidQuota> {
        let (name, number) = text.split_once('=').ok_or_else(|| InvalidQuota::Form(text.to_owned()))?;
        let quota = match name {
            "namespaces" => &mut self.namespaces,
            "functions" => &mut self.functions,
            "containers" => &mut self.containers,
            "crons" => &mut self.crons,
            _ => return Err(InvalidQuota::Name(name.to_owned())),
        };
        *quota = number.parse().map_err(|_| InvalidQuota::Number(name.to_owned(), number.to_owned()))?;
        Ok(())
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self { namespaces: 1000, functions: 20_000, containers: 20_000, crons: 1000 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Quotas, cpu_of_memory};

    #[test]
    fn a_quota_is_set_by_name_and_what_is_none_is_refused() {
        let mut quotas = Quotas::default();
        quotas.set("functions=5").unwrap();
        assert_eq!(quotas, Quotas { functions: 5, ..Quotas::default() });
        for (text, refusal) in [
            ("functions", "\"functions\" is not NAME=NUMBER, such as functions=500"),
            ("keys=1", "\"keys\" is no quota; there are namespaces, functions, containers, crons"),
            ("crons=-1", "\"-1\" is not a whole number: how many crons an organization may have in a region"),
        ] {
            assert_eq!(quotas.set(text).unwrap_err().to_string(), refusal);
        }
    }

    #[test]
    fn memory_outside_the_table_has_no_cpu() {
        assert_eq!(cpu_of_memory(128), Some(70));
        assert_eq!(cpu_of_memory(1024), Some(560));
        assert_eq!(cpu_of_memory(300), None);
    }
}
