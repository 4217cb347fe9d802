
'use strict';
(() => {
  // Shows the rows of a table that hold all words of its filter box.
  const connect = (box) => {
    const rows = Array.from(
      document.getElementById(box.dataset.rows).querySelectorAll('tbody > tr'),
    );
    const count = document.getElementById(box.dataset.count);
    let texts = null;
    const apply = () => {
      texts ??= rows.map((row) => row.textContent.toLowerCase());
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        const fits = words.every((word) => texts[i].includes(word));
        if (row.hidden === fits) row.hidden = !fits;
        shown += fits;
      });
      count.textContent = words.length
        ? `${shown} of ${rows.length} rows`
        : `${rows.length} row${rows.length === 1 ? '' : 's'}`;
    };
    box.addEventListener('input', apply);
    // A browser may keep what was typed before the page was loaded again.
    if (box.value) apply();
    box.closest('.filter').hidden = false;
  };
  document.querySelectorAll('input[data-rows]').forEach(connect);
})();
