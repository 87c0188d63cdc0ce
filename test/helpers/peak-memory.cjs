// Loaded with `node -r`: tells the largest resident size of the process, in KiB, and its CPU time, in ms, when it ends.
process.on('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  const cpuMs = Math.round((userCPUTime + systemCPUTime) / 1000);
  require('node:fs').writeSync(2, `peak ${maxRSS} cpu ${cpuMs}\n`);
});
