"use strict";

// The way through a scan: each volume is turned back into an array once, and is cut in three planes from there.

const PLANES = [
  {name: "axial", axis: 0, rows: 1, columns: 2, left: "R", right: "L"},
  {name: "coronal", axis: 1, rows: 0, columns: 2, left: "R", right: "L"},
  {name: "sagittal", axis: 2, rows: 0, columns: 1, left: "A", right: "P"},
];
const SHARPNESS = 3; // canvas pixels per voxel, so that outlines run between voxels
const LONGEST_SIDE = 2048; // canvas pixels: more than any screen gives to a plane, less than any browser refuses
const DIFFERENCE = "#f0e442"; // the one colour of the palette that no class has, and the brightest

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function group(name, children) {
  const made = element("span", {className: "overlay"}, children);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", name);
  return made;
}

function decode(uri) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => reject(new Error("its image cannot be decoded"));
    image.src = uri;
  });
}

// The voxels of a volume, one byte each. Intensities come as an image of the axial slices side by side. Label maps come as
// compressed bytes, because browsers that guard against fingerprinting add noise to what is read back from a canvas.
function volume(uri, shape, columns) {
  return uri.startsWith("data:image/") ? fromPicture(uri, shape, columns) : fromBytes(uri);
}

async function fromPicture(uri, [slices, height, width], columns) {
  const image = await decode(uri);
  const canvas = element("canvas", {width: image.naturalWidth, height: image.naturalHeight});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const voxels = new Uint8Array(slices * height * width);
  for (let slice = 0; slice < slices; slice++) {
    const left = (slice % columns) * width, top = Math.floor(slice / columns) * height;
    const pixels = context.getImageData(left, top, width, height).data;
    for (let index = 0; index < height * width; index++) voxels[slice * height * width + index] = pixels[4 * index];
  }
  return voxels;
}

async function fromBytes(uri) {
  const packed = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function cut(voxels, shape, plane, position) {
  const strides = [shape[1] * shape[2], shape[2], 1];
  const height = shape[plane.rows], width = shape[plane.columns];
  const pixels = new Uint8Array(height * width);
  for (let row = 0; row < height; row++) {
    let place = position * strides[plane.axis] + row * strides[plane.rows];
    for (let column = 0; column < width; column++, place += strides[plane.columns]) pixels[row * width + column] = voxels[place];
  }
  return {pixels, height, width};
}

// Four bytes for each of 256 values: looked up for every pixel on every move of a slider.
function palette(colour) {
  const table = new Uint8ClampedArray(4 * 256);
  for (let value = 0; value < 256; value++) table.set(colour(value), 4 * value);
  return new Uint32Array(table.buffer);
}

function rgba(colour, opacity) {
  return [...[1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)), 255 * opacity];
}

const GREYS = palette((value) => [value, value, value, 255]);

// One scan of a figure. What the reader chose (opacity, outlines, ...) is kept from the scan before.
class View {
  constructor(figure, source = figure.querySelector("script"), before = null) {
    this.figure = figure;
    this.data = JSON.parse(source.textContent);
    this.status = figure.querySelector(".status");
    this.overlays = this.data.overlays.map(({name}, index) => {
      const same = before?.overlays.find((overlay) => overlay.name === name);
      return {name, shown: same?.shown ?? true, outline: same?.outline ?? index > 0};
    });
    this.opacity = before?.opacity ?? 0.45;
    this.differences = (before?.differences ?? false) && this.overlays.length === 2;
    this.crosshair = before?.crosshair ?? true;
  }

  // Room for the planes, so that nothing on the page moves when the scan arrives.
  build() {
    const {shape} = this.data;
    const planes = PLANES.filter((plane) => shape[plane.rows] > 1 && shape[plane.columns] > 1);
    this.panels = (planes.length ? planes : PLANES.slice(0, 1)).map((plane) => this.panel(plane));
    const box = this.figure.querySelector(".planes");
    box.style.setProperty("--columns", this.panels.map(({canvas}) => `minmax(9rem, ${canvas.width}fr)`).join(" "));
    box.replaceChildren(...this.panels.map((panel) => panel.box));
    this.figure.querySelector(".choices").replaceChildren(...this.controls());
    this.status.textContent = "Loading the scan ...";
  }

  start() {
    this.started ??= this.load();
    return this.started;
  }

  async load() {
    try {
      const {shape, columns, image, overlays} = this.data;
      this.image = await volume(image, shape, columns);
      if (this.left) return;
      for (const [index, overlay] of overlays.entries()) {
        this.overlays[index].labels = await volume(overlay.labels, shape, columns);
      }
      if (this.left) return;
      this.position = this.fullest();
      this.draw();
      this.status.textContent = "";
      this.figure.dataset.ready = "true";
    } catch (failure) {
      if (!this.left) this.status.textContent = `This scan cannot be shown: ${failure.message}`;
    }
  }

  // Per axis, the slice with the most foreground of all label maps; the middle where there is none.
  fullest() {
    const {shape} = this.data;
    const counts = shape.map((length) => new Uint32Array(length));
    for (const {labels} of this.overlays) {
      let place = 0;
      for (let z = 0; z < shape[0]; z++) for (let y = 0; y < shape[1]; y++) for (let x = 0; x < shape[2]; x++) {
        if (labels[place++]) { counts[0][z]++; counts[1][y]++; counts[2][x]++; }
      }
    }
    return counts.map((count, axis) => {
      const most = count.reduce((one, other) => Math.max(one, other));
      return most ? count.indexOf(most) : Math.floor(shape[axis] / 2);
    });
  }

  controls() {
    const made = this.overlays.map((overlay) => group(overlay.name, [
      this.box(overlay.name, `show ${overlay.name}`, overlay.shown, (checked) => { overlay.shown = checked; }),
      this.box("as outline", `outline ${overlay.name}`, overlay.outline, (checked) => { overlay.outline = checked; }),
    ]));
    if (this.overlays.length) {
      const opacity = element("input", {type: "range", min: 0, max: 100, value: 100 * this.opacity, name: "opacity"});
      opacity.addEventListener("input", () => { this.opacity = opacity.value / 100; this.draw(); });
      made.push(element("label", {}, ["opacity", opacity]));
    }
    if (this.overlays.length === 2) {
      const patch = element("i");
      patch.style.background = DIFFERENCE;
      const box = this.box("only where they differ", "differences", this.differences, (checked) => { this.differences = checked; });
      box.append(patch);
      made.push(box);
    }
    if (this.panels.length > 1) {
      made.push(this.box("crosshair", "crosshair", this.crosshair, (checked) => { this.crosshair = checked; }));
    }
    made.push(element("div", {className: "legend"}, this.data.classes.map((entry) => {
      const patch = element("i");
      patch.style.background = entry.colour;
      return element("span", {}, [patch, entry.name]);
    })));
    return made;
  }

  box(text, name, checked, take) {
    const input = element("input", {type: "checkbox", name, checked});
    input.addEventListener("change", () => { take(input.checked); this.draw(); });
    return element("label", {}, [input, text]);
  }

  // Of a single slice nobody knows the plane, nor the patient's sides.
  called(plane) {
    return this.data.flat ? "the slice" : `${plane.name} slice`;
  }

  panel(plane) {
    const {shape, spacing} = this.data;
    const sides = [plane.columns, plane.rows].map((axis) => shape[axis] * spacing[axis]);
    const scale = Math.min(SHARPNESS / Math.min(spacing[plane.rows], spacing[plane.columns]), LONGEST_SIDE / Math.max(...sides));
    const [width, height] = sides.map((side) => Math.max(1, Math.round(side * scale)));
    const canvas = element("canvas", {width, height});
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", this.called(plane));
    canvas.addEventListener("click", (event) => this.jump(plane, canvas, event));
    canvas.addEventListener("pointermove", (event) => { if (event.buttons === 1) this.jump(plane, canvas, event); });
    const name = element("span", {textContent: plane.name});
    const slider = element("input", {type: "range", min: 0, max: shape[plane.axis] - 1, step: 1, name: plane.name});
    slider.setAttribute("aria-label", `${plane.name} slice`);
    slider.addEventListener("input", () => {
      if (this.position) this.position[plane.axis] = Number(slider.value);
      this.draw();
    });
    const letters = this.data.flat ? [] : [
      element("span", {className: "side left", textContent: plane.left}),
      element("span", {className: "side right", textContent: plane.right}),
    ];
    const moves = shape[plane.axis] > 1 ? [element("label", {}, [name, slider])] : [];
    const stage = element("div", {className: "stage"}, [canvas, ...letters]);
    return {plane, canvas, slider, name, box: element("div", {className: "plane"}, [stage, ...moves])};
  }

  jump(plane, canvas, event) {
    if (!this.position) return;
    const {shape} = this.data;
    // The image keeps its proportions inside its box: what is left over lies at its sides.
    const scale = Math.min(canvas.clientWidth / canvas.width, canvas.clientHeight / canvas.height);
    const x = (event.offsetX - (canvas.clientWidth - scale * canvas.width) / 2) / (scale * canvas.width);
    const y = (event.offsetY - (canvas.clientHeight - scale * canvas.height) / 2) / (scale * canvas.height);
    const inside = (share, length) => Math.min(Math.max(Math.floor(share * length), 0), length - 1);
    this.position[plane.columns] = inside(x, shape[plane.columns]);
    this.position[plane.rows] = inside(y, shape[plane.rows]);
    this.draw();
  }

  draw() {
    if (!this.position) return;
    const fills = palette((value) => {
      const entry = this.data.classes[value - 1];
      return entry ? rgba(entry.colour, this.opacity) : [0, 0, 0, 0];
    });
    for (const panel of this.panels) this.drawPanel(panel, fills);
  }

  drawPanel({plane, canvas, slider, name}, fills) {
    const {shape} = this.data, position = this.position[plane.axis];
    slider.value = position;
    name.textContent = `${plane.name} ${position + 1} / ${shape[plane.axis]}`;
    slider.setAttribute("aria-valuetext", `${position + 1} of ${shape[plane.axis]}`);
    canvas.setAttribute("aria-label", `${this.called(plane)} ${position + 1} of ${shape[plane.axis]}`);
    const context = canvas.getContext("2d");
    this.paint(context, cut(this.image, shape, plane, position), GREYS, true);
    const cuts = this.overlays.map(({labels}) => cut(labels, shape, plane, position));
    const shown = cuts.filter((_, index) => this.overlays[index].shown && !this.overlays[index].outline);
    const outlined = cuts.filter((_, index) => this.overlays[index].shown && this.overlays[index].outline);
    if (this.differences) this.paint(context, unlike(cuts), palette((value) => rgba(DIFFERENCE, value ? 0.85 : 0)), false);
    else for (const labels of shown) this.paint(context, labels, fills, false);
    for (const labels of outlined) this.outline(context, labels);
    if (this.crosshair && this.panels.length > 1) this.cross(context, plane);
  }

  paint(context, {pixels, height, width}, colours, smooth) {
    const small = element("canvas", {width, height});
    const target = small.getContext("2d"), image = target.createImageData(width, height);
    const colour = new Uint32Array(image.data.buffer);
    for (let index = 0; index < pixels.length; index++) colour[index] = colours[pixels[index]];
    target.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = smooth;
    context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
  }

  outline(context, {pixels, height, width}) {
    const across = context.canvas.width / width, down = context.canvas.height / height;
    const paths = this.data.classes.map(() => new Path2D());
    for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) {
      const place = row * width + column, value = pixels[place];
      if (!value) continue;
      const path = paths[value - 1], x = column * across, y = row * down;
      const edge = (x1, y1, x2, y2) => { path.moveTo(x1, y1); path.lineTo(x2, y2); };
      if (row === 0 || pixels[place - width] !== value) edge(x, y, x + across, y);
      if (row === height - 1 || pixels[place + width] !== value) edge(x, y + down, x + across, y + down);
      if (column === 0 || pixels[place - 1] !== value) edge(x, y, x, y + down);
      if (column === width - 1 || pixels[place + 1] !== value) edge(x + across, y, x + across, y + down);
    }
    context.lineWidth = 1.5;
    for (const [index, path] of paths.entries()) {
      context.strokeStyle = this.data.classes[index].colour;
      context.stroke(path);
    }
  }

  cross(context, plane) {
    const {shape} = this.data, {width, height} = context.canvas;
    const x = (this.position[plane.columns] + 0.5) / shape[plane.columns] * width;
    const y = (this.position[plane.rows] + 0.5) / shape[plane.rows] * height;
    context.strokeStyle = "rgba(255, 255, 255, 0.45)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0); context.lineTo(x, height);
    context.moveTo(0, y); context.lineTo(width, y);
    context.stroke();
  }
}

function unlike([first, second]) {
  return {...first, pixels: first.pixels.map((value, index) => (value === second.pixels[index] ? 0 : 1))};
}

// The scans of a figure, of which one at a time is unpacked; its list names them all.
class Scans {
  constructor(figure) {
    this.figure = figure;
    this.sources = [...figure.querySelectorAll("script")];
    const choices = element("div", {className: "choices"});
    this.list = element("select", {name: "scan"}, this.sources.map(({dataset}, index) =>
      element("option", {value: index, textContent: [dataset.name, dataset.note].filter(Boolean).join(" \u2013 ")})));
    this.list.addEventListener("change", () => this.show(Number(this.list.value)));
    const chooser = element("label", {className: "chooser"}, ["scan", this.list]);
    figure.querySelector(".controls").append(...(this.sources.length > 1 ? [chooser] : []), choices);
    this.place(0);
  }

  // Room for a scan, which is unpacked when it is started.
  place(index) {
    const before = this.view;
    if (before) before.left = true;
    this.list.value = index;
    delete this.figure.dataset.ready;
    this.view = new View(this.figure, this.sources[index], before);
    this.view.build();
  }

  start() {
    return this.view.start();
  }

  show(index) {
    this.place(index);
    return this.start();
  }

  // Shows the scan of that name; false where there is none.
  open(name) {
    const index = this.sources.findIndex(({dataset}) => dataset.name === name);
    if (index >= 0 && Number(this.list.value) !== index) this.show(index);
    return index >= 0;
  }
}
