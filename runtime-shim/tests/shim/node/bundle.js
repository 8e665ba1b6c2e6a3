'use strict';
// node bundle.js TOOL SOURCE OUT: one file of a handler and all that it needs, as the tool makes it by default.

const fs = require('fs');
const path = require('path');

const [tool, source, out] = process.argv.slice(2);
// The packages lie beside the source.
const load = (name) => require(require.resolve(name, { paths: [path.dirname(source)] }));

const tools = {
  async ncc() {
    const { code } = await load('@vercel/ncc')(source, { cache: false, quiet: true });
    fs.writeFileSync(out, code);
  },
  webpack() {
    const options = {
      mode: 'production', target: 'node8', entry: source, devtool: false,
      output: { path: path.dirname(out), filename: path.basename(out), library: { type: 'commonjs2' } },
    };
    return new Promise((resolve, reject) => load('webpack')(options, (error, stats) => {
      if (error || stats.hasErrors()) reject(error || new Error(stats.toString('errors-only')));
      else resolve();
    }));
  },
  esbuild() {
    return load('esbuild').build({
      entryPoints: [source], outfile: out, bundle: true, platform: 'node', target: 'node8', logLevel: 'error',
    });
  },
};

tools[tool]().then(() => {}, (error) => {
  console.error(error);
  process.exitCode = 1;
});
