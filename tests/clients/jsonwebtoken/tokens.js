// Proves and signs tokens with jsonwebtoken: tasks and answers as in ../pyjwt/tokens.py.
const jwt = require('jsonwebtoken');

function answer(task) {
  if (task.sign) return {token: jwt.sign(task.sign, task.key, {algorithm: 'RS256'})};
  try {
    return {claims: jwt.verify(task.verify, task.key, {algorithms: ['RS256'], audience: task.audience})};
  } catch (error) {
    if (error instanceof jwt.JsonWebTokenError || error instanceof jwt.NotBeforeError) return {refused: String(error)};
    throw error;
  }
}

process.stdout.write(JSON.stringify(JSON.parse(process.argv[2]).map(answer)));
