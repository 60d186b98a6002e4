// Values under the pointer, curves on and off, tables sorted by a column. The page is whole without it.
'use strict';

const pointer = document.createElement('div');
pointer.id = 'pointer';
pointer.hidden = true;
pointer.setAttribute('aria-hidden', 'true');
document.body.append(pointer);

// A mark's own title names it; the browser's slow tooltip gives way to the pointer's.
for (const title of document.querySelectorAll('svg title')) {
  const mark = title.parentNode;
  if (mark.tagName === 'svg') continue;
  mark.setAttribute('aria-label', title.textContent);
  mark.dataset.says = title.textContent;
  title.remove();
}

function nearest(svg, event) {
  let best = null, least = 24 ** 2;
  for (const dot of svg.querySelectorAll('.series:not(.off) circle')) {
    const box = dot.getBoundingClientRect();
    const away = (box.x + box.width / 2 - event.clientX) ** 2 + (box.y + box.height / 2 - event.clientY) ** 2;
    if (away < least) [best, least] = [dot, away];
  }
  return best;
}

document.addEventListener('pointermove', (event) => {
  const svg = event.target.closest?.('svg');
  const mark = svg && (nearest(svg, event) || event.target.closest('[data-says]'));
  pointer.hidden = !mark;
  if (!mark) return;
  pointer.textContent = mark.dataset.says;
  const left = Math.min(event.clientX + 12, document.documentElement.clientWidth - pointer.offsetWidth - 4);
  pointer.style.left = Math.max(left, 4) + 'px';
  pointer.style.top = Math.max(event.clientY - 32, 4) + 'px';
});

for (const item of document.querySelectorAll('.legend li')) {
  const figure = item.closest('figure');
  const curves = [...figure.querySelectorAll('.series')].filter((c) => c.dataset.series === item.dataset.series);
  if (!curves.length) continue;
  const button = document.createElement('button');
  button.append(...item.childNodes);
  button.setAttribute('aria-pressed', 'true');
  item.append(button);
  button.addEventListener('click', () => {
    const off = item.classList.toggle('off');
    button.setAttribute('aria-pressed', String(!off));
    for (const curve of curves) curve.classList.toggle('off', off);
  });
}

for (const table of document.querySelectorAll('table')) {
  const body = table.tBodies[0];
  table.querySelectorAll('th').forEach((head, column) => {
    const button = document.createElement('button');
    button.append(...head.childNodes);
    button.title = 'sort';
    head.append(button);
    button.addEventListener('click', () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      for (const other of table.querySelectorAll('th')) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const key = (row) => row.cells[column];
      const number = (cell) => (cell.dataset.value === undefined ? NaN : Number(cell.dataset.value));
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        const away = number(x) - number(y);
        const order = Number.isNaN(away) ? x.textContent.localeCompare(y.textContent) : away;
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
