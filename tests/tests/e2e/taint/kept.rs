//! Where secrets are looked for, and what is allowed where.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    KEEPERS, World, files, is_new,
    routes::{Caller, Told},
    search::{Found, Search, Seen},
};

impl World {
    pub(super) fn kept_nowhere(&self) -> anyhow::Result<()> {
        let search = Search::new(&self.secrets);
        let mut found = Vec::new();
        for told in &self.told {
            found.extend(
                search.of(&told.what, &told.bytes()).into_iter().filter(|found| !may_be(found, told)),
            );
        }
        found.extend(search.of("the log", self.server.log().as_bytes()));
        found.extend(self.in_files(&search)?);
        found.extend(self.in_processes(&search));
        if let Some(database) = &self.database {
            found.extend(database.search(&search)?);
        }
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        ensure!(found.is_empty(), "secrets leaked:\n{}", found.join("\n"));
        Ok(())
    }

    fn in_files<'a>(&self, search: &Search<'a>) -> anyhow::Result<Vec<Found<'a>>> {
        let kept = self.kept();
        let has = |part: &str| kept.iter().any(|path| path.to_string_lossy().contains(part));
        for part in ["server/archives/", "server/registry/blobs/sha256/", "server/logs/", "launcher/layers/"]
        {
            ensure!(has(part), "nothing of {part}: {kept:?}");
        }
        ensure!(has("server/zipship.db") == self.database.is_none(), "{kept:?}");
        let mut found = Vec::new();
        for path in &kept {
            // One may go meanwhile.
            let Ok(bytes) = fs::read(path) else { continue };
            let place = path.display().to_string();
            let own = self.log_of_what_is_said();
            let of_content = search.of(&place, &bytes).into_iter();
            found.extend(
                of_content
                    .filter(|found| found.secret.seen != Seen::SaidByItsCode || !path.starts_with(&own)),
            );
            found.extend(search.of("the name of a file", place.as_bytes()));
        }
        Ok(found)
    }

    /// The one directory in which may be what the code of an application says.
    pub(super) fn log_of_what_is_said(&self) -> PathBuf {
        let organization = self.server.api().organization();
        self.server.data().join("server/logs").join(organization).join(&self.ids["talker_id"])
    }

    /// Files that came or changed since the start, but those that keep secrets. What of the bases was unpacked since
    /// is none of them: layers of megabytes, in which nothing of a function is.
    fn kept(&self) -> Vec<PathBuf> {
        let layers = self.server.data().join("launcher/layers");
        let of_base = |layer: &Path| {
            let bytes = files(layer).into_iter().filter_map(|path| Some(fs::metadata(path).ok()?.len()));
            bytes.sum::<u64>() > 1 << 20
        };
        let layers = fs::read_dir(layers).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let of_bases: Vec<_> = layers.filter(|layer| of_base(layer)).collect();
        let kept = files(&self.server.data()).into_iter().filter(|path| {
            let is_base = of_bases.iter().any(|layer| path.starts_with(layer));
            is_new(path, &self.before) && !is_base && !KEEPERS.iter().any(|keeper| path.ends_with(keeper))
        });
        kept.collect()
    }

    /// Arguments and environments of all processes but those of instances.
    pub(super) fn in_processes<'a>(&self, search: &Search<'a>) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for pid in self.server.all_processes() {
            let of = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            let status = String::from_utf8_lossy(&of("status")).into_owned();
            if !status.lines().any(|line| line.starts_with("Uid:\t1000\t")) {
                found.extend(search.of(&format!("process {pid}"), &["cmdline", "environ"].map(of).concat()));
            }
        }
        found
    }

    /// That the search would have found something: the log with one line more, and a table of the database.
    pub(super) fn finds_what_is_planted(&self) -> anyhow::Result<()> {
        let (scratch, search) = (tempfile::tempdir()?, Search::new(&self.secrets));
        let copy = scratch.path().join("log");
        for (name, marker) in &self.markers {
            let hex: String = marker.bytes().map(|byte| format!("{byte:02x}")).collect();
            for leak in [
                marker.clone(),
                STANDARD.encode(format!("x:{marker}")),
                hex,
                format!("{:?}", marker.as_bytes()),
            ] {
                fs::write(&copy, format!("{}leak={leak}\n", self.server.log()))?;
                let found = search.of("the scratch log", &fs::read(&copy)?);
                ensure!(found.len() == 1 && found[0].secret.name == *name, "{name} was not found: {leak}");
            }
        }
        self.database.as_ref().map_or(Ok(()), |database| database.finds_what_is_planted())
    }
}

/// Whether a secret may be in an answer.
fn may_be(found: &Found<'_>, told: &Told) -> bool {
    let succeeded = told.answer.status < 400;
    match found.secret.seen {
        Seen::ByItsOwner => succeeded && told.caller == Caller::Owner,
        Seen::ByItsSender => succeeded,
        Seen::SaidByItsCode => told.caller == Caller::Visitor || (succeeded && told.caller == Caller::Owner),
        Seen::Never => false,
    }
}
