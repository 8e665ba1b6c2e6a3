//! What works: functions and a container with variables, tokens, URLs.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use zipship_tests::{Answer, Container, Function, Zip};

use super::{
    NODE, PRIVATE, World,
    routes::{Caller, Told},
    search::{Search, Secret, Seen},
};

impl World {
    /// Everything with variables, made and called: what serves, tokens, URLs.
    pub(super) async fn live(&mut self) -> anyhow::Result<()> {
        let api = self.server.api().clone();
        let variables = |name: &str| json!({"MARKED": self.markers[name]});
        let body = json!({"name": "taint", "environment_variables": variables("variables of a namespace")});
        let made = api.post("namespaces", &body).await?.expect(200);
        let namespace = made["id"].as_str().context("an id")?.to_owned();
        let function = Function::create_in(&api, &namespace, NODE).await?;
        let private = Function::create_in(&api, &namespace, PRIVATE).await?;
        let own = json!({"environment_variables": variables("variables of a function")});
        for id in [&function.id, &private.id] {
            let _ = api.patch(&format!("functions/{id}"), &own).await?.expect(200);
        }
        let fields = json!({"environment_variables": variables("variables of a container")});
        let container = Container::create(&api, &namespace, "taint", &fields).await?;
        let code = Zip::of("handler.js", "exports.handle = async () => process.env.MARKED;");
        function.redeploy(&code).await?;
        private.redeploy(&code).await?;
        assert_eq!(function.call().await?.text(), self.markers["variables of a function"]);
        let cron = json!({"application_id": function.id, "schedule": "@yearly"});
        let cron = api.post("crons", &cron).await?.expect(200)["id"].as_str().context("an id")?.to_owned();

        let issued = api.get(&format!("jwt/issue?function_id={}", private.id)).await?.expect(200);
        let token = issued["token"].as_str().context("a token")?;
        let called =
            Answer::of(private.request(Method::GET, "/").header("SCW-Functions-Token", token)).await?;
        assert_eq!(called.status, 200, "{}", called.text());
        let signature = token.rsplit('.').next().context("a signature")?;
        self.secrets.push(Secret::new(
            "signature of a function token",
            Seen::ByItsOwner,
            signature.as_bytes(),
        ));
        let wrong = &self.markers["a wrong function token"];
        for token in [wrong.clone(), format!("{token}{wrong}")] {
            let request = private.request(Method::GET, "/").header("SCW-Functions-Token", token);
            self.told.push(Told {
                what: "a wrong token".into(),
                caller: Caller::Nobody,
                answer: Answer::of(request).await?,
            });
        }

        let url = function.upload_url(3).await?;
        let signature = url.rsplit('=').next().context("a signature")?;
        self.secrets.push(Secret::new("signature of a URL", Seen::ByItsOwner, signature.as_bytes()));
        for bytes in [&b"zipzip"[..], b"zip", b"zip"] {
            let answer = function.put(&url, bytes).await?;
            self.told.push(Told { what: "an upload".into(), caller: Caller::Nobody, answer });
        }
        self.ids = BTreeMap::from([
            ("namespace_id", namespace),
            ("function_id", function.id),
            ("container_id", container.id),
            ("cron_id", cron),
            ("registry_namespace_id", made["registry_namespace_id"].as_str().unwrap_or_default().to_owned()),
        ]);
        // While instances run.
        let found = self.in_processes(&Search::new(&self.secrets));
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        ensure!(found.is_empty(), "{found:?}");
        Ok(())
    }
}
