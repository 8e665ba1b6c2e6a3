'use strict';
// Finds and imports the handler. Failures are told in node's own words.

const fs = require('fs');
const path = require('path');

const ENDINGS = ['.js', '.cjs', '.mjs'];

function supportsImport() {
  const version = process.versions.node.split('.').map(Number);
  return version[0] > 12 || (version[0] === 12 && version[1] >= 17);
}

// {file, name}: `name` is null where the handler string names a file.
function parse(directory, handler) {
  const text = handler.replace(/^\.\//, '');
  if (/\.[cm]?js$/.test(text)) return { file: find(directory, text, ['']), name: null };
  const dot = text.lastIndexOf('.');
  if (dot <= 0) throw new Error('the handler "' + handler + '" has no function name; write path/file.function');
  return { file: find(directory, text.slice(0, dot), ENDINGS), name: text.slice(dot + 1) };
}

function find(directory, base, endings) {
  for (let i = 0; i < endings.length; i++) {
    const file = path.join(directory, base + endings[i]);
    if (fs.existsSync(file) && fs.statSync(file).isFile()) return file;
  }
  const folder = path.join(directory, path.dirname(base));
  let there = [];
  try {
    there = fs.readdirSync(folder).sort().slice(0, 20);
  } catch (error) {
    there = [];
  }
  throw new Error('the handler file ' + base + (endings[0] || '') + ' is not there; ' + folder + ' has: ' +
    (there.join(', ') || 'nothing'));
}

function isEsm(file, error) {
  return /\.mjs$/.test(file) || error.code === 'ERR_REQUIRE_ESM' || error.code === 'ERR_REQUIRE_ASYNC_MODULE';
}

function importModule(file) {
  if (/\.mjs$/.test(file) && supportsImport()) return importEsm(file);
  try {
    return Promise.resolve(require(file));
  } catch (error) {
    if (error && isEsm(file, error)) {
      if (supportsImport()) return importEsm(file);
      error.message += ' (ES modules need node 12.17 or later, this is ' + process.version + ')';
    } else if (error instanceof SyntaxError && /import statement|Unexpected token '?export|Unexpected token import/.test(error.message)) {
      error.message += ' (an ES module is named .mjs, or its package.json says "type": "module")';
    }
    return Promise.reject(error);
  }
}

function importEsm(file) {
  return require('./import.js')(require('url').pathToFileURL(file).href);
}

function functionsOf(module) {
  const found = {};
  [module && module.default, module].forEach(function (source) {
    if (source === null || (typeof source !== 'object' && typeof source !== 'function')) return;
    Object.keys(source).forEach(function (name) {
      if (typeof source[name] === 'function') found[name] = source[name];
    });
  });
  return found;
}

function pick(module, file, name) {
  const functions = functionsOf(module);
  const names = Object.keys(functions);
  if (name !== null) {
    if (functions[name]) return functions[name];
    throw new Error(path.basename(file) + ' exports no function "' + name + '"; it exports: ' +
      (names.join(', ') || 'none'));
  }
  if (functions.handle) return functions.handle;
  if (typeof module === 'function') return module;
  if (names.length === 1) return functions[names[0]];
  throw new Error(path.basename(file) + ' exports no "handle" and not exactly one function; it exports: ' +
    (names.join(', ') || 'none'));
}

// A promise of the handler function.
module.exports = function (directory, handler) {
  return Promise.resolve().then(function () {
    const where = parse(directory, handler);
    return importModule(where.file).then(function (module) {
      return pick(module, where.file, where.name);
    });
  });
};
