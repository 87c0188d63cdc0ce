// Loaded with `node -r`: tells the largest resident size of the process, in KiB, when it ends.
process.on('exit', () => require('node:fs').writeSync(2, `peak ${process.resourceUsage().maxRSS}\n`));
