// Opens the page at the widths of a telephone and of a screen, and writes down what is wrong with it.
'use strict';

function problems(frame, width) {
  const { contentDocument: page, contentWindow: view } = frame;
  const found = view.caught.map((message) => 'error: ' + message);
  for (const entry of view.performance.getEntriesByType('resource')) {
    if (!entry.name.startsWith('data:')) found.push('request: ' + entry.name);
  }
  if (page.documentElement.scrollWidth > width) found.push('wider than the window: ' + page.documentElement.scrollWidth);
  for (const drawing of page.querySelectorAll('svg')) {
    const name = drawing.getAttribute('aria-label');
    if (!name) found.push('a drawing without a name');
    if (!drawing.querySelector('circle, rect, polyline')) found.push('no mark in: ' + name);
    const outer = drawing.getBoundingClientRect();
    for (const text of drawing.querySelectorAll('text')) {
      const box = text.getBoundingClientRect();
      const fits = box.left >= outer.left - 1 && box.right <= outer.right + 1
        && box.top >= outer.top - 2 && box.bottom <= outer.bottom + 2;
      if (!fits) found.push('text is cut: ' + text.textContent + ' in ' + name);
      if (box.height > 0 && box.height < 8 && box.width > box.height) found.push('text is too small: ' + text.textContent);
    }
  }
  for (const image of page.querySelectorAll('img')) {
    if (!image.naturalWidth || !image.alt) found.push('an image that does not show: ' + image.alt);
  }
  // The script does what it promises.
  const button = page.querySelector('.legend button');
  button.click();
  if (!page.querySelector('.series.off')) found.push('a curve does not switch off');
  button.click();
  if (page.querySelector('.series.off')) found.push('a curve does not switch on');
  const table = [...page.querySelectorAll('table')].find((t) => t.tBodies[0].rows.length > 3);
  const column = [...table.tBodies[0].rows[0].cells].findIndex((cell) => cell.dataset.value !== undefined);
  table.querySelectorAll('th button')[column].click();
  const values = [...table.tBodies[0].rows].map((row) => Number(row.cells[column].dataset.value));
  if (values.some((value, n) => n && value < values[n - 1])) found.push('a column is not sorted: ' + values);
  return found;
}

const frames = [390, 1440].map((width) => new Promise((done) => {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
  frame.srcdoc = PAGE;
  frame.onload = () => setTimeout(() => {
    const page = frame.contentDocument;
    const background = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
    done({ width, background, drawings: page.querySelectorAll('svg').length, problems: problems(frame, width) });
  }, 200);
  document.body.append(frame);
}));

Promise.all(frames).then((all) => {
  const found = document.createElement('pre');
  found.id = 'found';
  found.textContent = JSON.stringify({ frames: all });
  document.body.replaceChildren(found);
});
