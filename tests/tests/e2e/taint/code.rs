//! Code that fails with its variables in reach. What it says itself is its own; what the platform says of it is not.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::json;
use zipship_tests::{Answer, Function, Zip};

use super::{
    NODE, World,
    failures::until,
    files,
    routes::{Caller, Told},
    search::Search,
};

/// Fails in every way, and says nothing of what it knows.
const FAILS: &str = "
exports.handle = async (event) => {
    const all = Object.assign({}, process.env);
    if (!all.MARKED) return 'it has no variables';
    switch (event.path) {
        case '/throw': throw new Error('with variables in reach');
        case '/reject': return Promise.reject({ code: 1 });
        case '/circular': all.self = all; return { statusCode: 200, body: all };
        case '/time': return new Promise(() => {});
        case '/exit': process.exit(3);
        case '/abort': process.abort();
    }
};";
/// Prints and throws what it knows.
const SAYS: &str = "
console.log('at import ' + process.env.MARKED);
exports.handle = async () => {
    console.error(JSON.stringify(process.env));
    throw new Error('I know ' + process.env.MARKED);
};";
const SAYS_AT_IMPORT: &str = "throw new Error('I know ' + process.env.MARKED + ', and that is all');";

impl World {
    pub(super) async fn code_fails(&mut self) -> anyhow::Result<()> {
        let variables = json!({"MARKED": self.markers["variables of a function"]});
        let function = self.with_code(&json!({"environment_variables": variables, "timeout": 1000})).await?;
        function.redeploy(&Zip::of("handler.js", FAILS)).await?;
        for (path, status) in [
            ("/throw", 500),
            ("/reject", 500),
            ("/circular", 502),
            ("/time", 504),
            ("/exit", 502),
            ("/abort", 502),
        ] {
            let answer = self.call(&function, path).await?;
            ensure!(answer.status == status, "{path}: {} {}", answer.status, answer.text());
        }
        self.what_it_says_is_its_own().await
    }

    async fn with_code(&self, fields: &serde_json::Value) -> anyhow::Result<Function> {
        let api = self.server.api();
        let function = Function::create_in(api, &self.ids["namespace_id"], NODE).await?;
        let _ = api.patch(&format!("functions/{}", function.id), fields).await?.expect(200);
        Ok(function)
    }

    async fn call(&mut self, function: &Function, path: &str) -> anyhow::Result<Answer> {
        let answer = Answer::of(function.request(Method::GET, path)).await?;
        let what = format!("a call of {path}");
        self.told.push(Told { what, caller: Caller::Visitor, answer: answer.clone() });
        Ok(answer)
    }

    async fn what_it_says_is_its_own(&mut self) -> anyhow::Result<()> {
        let marker = self.markers["what code says"].clone();
        let function = self.with_code(&json!({"environment_variables": {"MARKED": marker}})).await?;
        self.ids.insert("talker_id", function.id.clone());
        function.redeploy(&Zip::of("handler.js", SAYS)).await?;
        let answer = self.call(&function, "").await?;
        ensure!(answer.status == 500 && answer.text().contains(&marker), "{}", answer.text());
        function.upload(&Zip::of("handler.js", SAYS_AT_IMPORT).bytes()).await?;
        let cause = self.fails(&function).await?;
        ensure!(cause.contains("I know ***, and that is all"), "{cause}");

        // It is where it may be: else that it is nowhere else says nothing.
        let logs =
            format!("/functions/v1alpha2/regions/fr-par/logs?application_id={}&page_size=100", function.id);
        for line in ["at import ", "\"MARKED\":\""] {
            let said = format!("{line}{marker}");
            until("its owner reads what it said", async || {
                let told = self.answer(Caller::Owner, Method::GET, &logs, None).await?;
                let logs = told.answer.expect(200);
                let logs = logs["logs"].as_array().context("lines")?;
                Ok(logs.iter().any(|one| one["message"].as_str().is_some_and(|text| text.contains(&said))))
            })
            .await?;
        }
        self.ask(Caller::Owner, Method::GET, &logs, None).await?;
        let status = self.ask(Caller::Another, Method::GET, &logs, None).await?;
        ensure!(status == 404, "{status}");
        let search = Search::new(&self.secrets);
        let kept = files(&self.log_of_what_is_said()).into_iter();
        let mut found = kept.filter_map(|file| Some(search.of("", &std::fs::read(file).ok()?)));
        ensure!(found.any(|found| !found.is_empty()), "its log is not where it is looked for");
        Ok(())
    }
}
