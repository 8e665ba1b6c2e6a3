// The same handler as ours in @scaleway/serverless-functions, which is found through NODE_PATH.
const { serveHandler } = require('@scaleway/serverless-functions')
const { handle } = require('./handler.js')

serveHandler(handle, Number(process.env.PORT))
