//! What functions and containers do not have in common.

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};

use super::Application;
use crate::{
    slug,
    store::{
        Archive, StoreError,
        deploys::{Program, Subject},
    },
};

/// A kind of application. `NAME` is the `kind` column's value and what errors call it; `FROM` chooses its rows.
pub trait Kind: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// `function` or `container`.
    const NAME: &'static str;
    /// Table and joins (see [`super::super::Owned`]).
    const FROM: &'static str;
    /// Its writes.
    const WRITES: Writes;

    /// From a row of `applications`.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    fn read(row: &AnyRow) -> Result<Self, StoreError>;

    /// What its own columns hold.
    fn columns(&self) -> Columns<'_>;

    /// What a deploy of it deploys.
    ///
    /// # Errors
    /// [`StoreError::NothingUploaded`].
    fn subject(application: &Application<Self>) -> Result<Subject, StoreError>;
}

/// Names of a kind's writes ([`super::super::WRITES`]).
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// It is made.
    pub create: &'static str,
    /// It is changed.
    pub update: &'static str,
    /// It is marked.
    pub delete: &'static str,
    /// Its rows go.
    pub gone: &'static str,
}

/// The columns that one kind has and the other does not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Columns<'a> {
    /// Of a function.
    pub runtime: &'a str,
    /// Of a function.
    pub handler: &'a str,
    /// Of a container.
    pub registry_image: Option<&'a str>,
}

/// A function's program: code for a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Runtime's name as given.
    pub runtime: String,
    /// Handler string.
    pub handler: String,
}

/// A container's program: an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// As [`ImageName`](crate::image_name::ImageName) reads it; `None`: `<slug>/<name>:latest` of this server.
    pub registry_image: Option<String>,
}

macro_rules! from {
    ($kind:literal) => {
        concat!(
            "applications a JOIN namespaces n ON n.id = a.namespace_id AND a.kind = '",
            $kind,
            "' JOIN registry_namespaces r ON r.id = n.registry_namespace_id"
        )
    };
}

impl Kind for Code {
    const NAME: &'static str = "function";
    const FROM: &'static str = from!("function");
    const WRITES: Writes = Writes {
        create: "function.create",
        update: "function.update",
        delete: "function.delete",
        gone: "function.gone",
    };

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self { runtime: row.try_get("runtime")?, handler: row.try_get("handler")? })
    }

    fn columns(&self) -> Columns<'_> {
        Columns { runtime: &self.runtime, handler: &self.handler, registry_image: None }
    }

    fn subject(application: &Application<Self>) -> Result<Subject, StoreError> {
        let archive: Option<Archive> = application.archive.clone();
        Ok(Subject {
            archive: Some(archive.ok_or_else(|| StoreError::NothingUploaded(application.id.clone()))?),
            repository: slug::repository(&application.slug, &application.name, &application.id),
            program: Program::Code(application.program.clone()),
        })
    }
}

impl Kind for Image {
    const NAME: &'static str = "container";
    const FROM: &'static str = from!("container");
    const WRITES: Writes = Writes {
        create: "container.create",
        update: "container.update",
        delete: "container.delete",
        gone: "container.gone",
    };

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self { registry_image: row.try_get("registry_image")? })
    }

    fn columns(&self) -> Columns<'_> {
        Columns { registry_image: self.registry_image.as_deref(), ..Columns::default() }
    }

    fn subject(application: &Application<Self>) -> Result<Subject, StoreError> {
        Ok(Subject {
            archive: None,
            repository: format!("{}/{}", application.slug, application.name),
            program: Program::Image { image: application.image() },
        })
    }
}

impl Application<Image> {
    /// The image that a deploy takes, as [`ImageName`](crate::image_name::ImageName) reads it.
    #[must_use]
    pub fn image(&self) -> String {
        let own = || format!("{}/{}:latest", self.slug, self.name);
        self.program.registry_image.clone().unwrap_or_else(own)
    }
}
