// As a project with a bundler has it: imports, a package of npm, a module of its own.
import { v5 } from 'uuid';
import { describe } from './describe.js';

export const handle = async (event) => ({
  statusCode: 200,
  headers: { 'Content-Type': 'text/plain' },
  body: describe(v5(event.path, v5.URL)),
});
