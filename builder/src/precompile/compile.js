// Fills a compile cache without running anything: every file goes through the compilers that `require` and `import`
// use, which are inside node and reached with --expose-internals.
'use strict';
const fs = require('fs');
const path = require('path');
const url = require('url');
const UNSUPPORTED = 42;

function unsupported() {
  process.stderr.write(`node ${process.versions.node} has no compile cache; it has from version 22 on\n`);
  process.exit(UNSUPPORTED);
}

// Sources and list, a place to write to, the descriptor of the results, the image's own programs.
const [folder, scratch, results, workers] = process.argv.slice(2);
const modules = require('module');
if (!modules.enableCompileCache) unsupported();
let binding;
try {
  binding = require('internal/test/binding').internalBinding;
} catch {
  unsupported();
}
const { compileFunctionForCJSLoader } = binding('contextify');
const { ModuleWrap } = binding('module_wrap');
const { source_text_module_default_hdo: own } = binding('symbols');
if (!compileFunctionForCJSLoader || !ModuleWrap || !own) unsupported();
const enabled = modules.enableCompileCache(scratch + '/cache');
if (enabled.status !== modules.constants.compileCacheStatus.ENABLED) unsupported();

// Of the nearest package.json, as node finds the kind of a .js file.
const kinds = new Map();
function kindOf(directory) {
  if (!kinds.has(directory)) {
    let kind;
    try {
      kind = JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')).type || 'none';
    } catch {
      kind = directory.length <= folder.length ? 'none' : kindOf(path.dirname(directory));
    }
    kinds.set(directory, kind);
  }
  return kinds.get(directory);
}

function compile(source, name) {
  const text = fs.readFileSync(source, 'utf8').replace(/^\uFEFF/, '');
  const ending = path.extname(source);
  const kind = ending === '.js' ? kindOf(path.dirname(source)) : ending === '.mjs' ? 'module' : 'commonjs';
  const asModule = () => new ModuleWrap(url.pathToFileURL(name).href, undefined, text, 0, 0, own);
  if (kind === 'module') {
    asModule();
    return;
  }
  const found = compileFunctionForCJSLoader(text, name, false, kind === 'none');
  if (found.canParseAsESM && !found.function) asModule();
}

function say(line, bytes) {
  for (const piece of [Buffer.from(line), bytes]) {
    for (let at = 0; piece && at < piece.length; ) at += fs.writeSync(Number(results), piece, at);
  }
}

function named(folder) {
  try {
    return fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

// One line a file: its place here, and its name in the image.
fs.readFileSync(folder + '/list', 'utf8').split('\n').forEach((line, number) => {
  if (!line) return;
  const [source, name] = line.split('\t');
  try {
    // A copy: V8 writes the whole text down of which a name is a part, so each file would have the list in it.
    compile(source, Buffer.from(name).toString());
  } catch (error) {
    const reason = String(error && error.message).split('\n')[0].slice(0, 1000);
    say(`${number} - ${reason}\n`);
  }
});
for (const file of named(workers)) {
  if (!file.isFile() || !file.name.endsWith('.js')) continue;
  const source = `${workers}/${file.name}`;
  try {
    compile(source, source);
  } catch {
    // Of another version, or no program: it is compiled where it is used.
  }
}
modules.flushCompileCache();
for (const { name: version } of named(scratch + '/cache')) {
  for (const { name } of named(`${scratch}/cache/${version}`)) {
    const bytes = fs.readFileSync(`${scratch}/cache/${version}/${name}`);
    say(`${version}/${name} ${bytes.length}\n`, bytes);
  }
}
