// Tables of docs/results/profile.json: kernels beside the peaks, and the share of each operation.

const TITLES = { prefill: 'Where a prefill spends its time', decode: 'Where a token spends its time' };

/** Tables as `toMarkdown` takes them. */
export function profileTables({ peak, kernels, promptTokens, newTokens, ...profile }) {
  const kernelTable = {
    title: `Kernels, one thread; peak ${peak.gmacs_per_thread.toFixed(0)} GMAC/s, ${peak.read_gbps.toFixed(1)} GB/s read`,
    columns: ['weights', 'tokens x rows x columns', 'matrices', 'GMAC/s', 'GB/s', 'of the nearer peak'],
    rows: kernels.map(({ type, tokens, rows, columns, count, gmacs, gbps, share_of_peak: share }) => [
      type,
      `${tokens} x ${rows} x ${columns}`,
      String(count),
      gmacs.toFixed(1),
      gbps.toFixed(1),
      `${(100 * share).toFixed(0)}%`,
    ]),
  };
  const tokens = { prefill: `${promptTokens} tokens at once`, decode: `mean of ${newTokens} tokens` };
  const operations = Object.entries(TITLES).map(([phase, title]) => {
    const total = profile[phase].reduce((sum, { ms }) => sum + ms, 0);
    const scale = phase === 'decode' ? newTokens : 1;
    return {
      title: `${title} (one thread, ${tokens[phase]})`,
      columns: ['operation', 'ms', 'share', 'GMAC/s', 'GB/s'],
      rows: profile[phase]
        .toSorted((a, b) => b.ms - a.ms)
        .map(({ op, ms, macs, bytes }) => [
          op,
          (ms / scale).toFixed(2),
          `${((100 * ms) / total).toFixed(1)}%`,
          macs > 0 ? (macs / ms / 1e6).toFixed(1) : '',
          bytes > 0 ? (bytes / ms / 1e6).toFixed(1) : '',
        ]),
    };
  });
  return [kernelTable, ...operations];
}
