"""The page that plays a film of training."""

from __future__ import annotations

from nnlite.utils.markup import DARK, LIGHT

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A film of training</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none';style-src 'unsafe-inline';script-src 'unsafe-inline'">
<style>
:root{%LIGHT%}@media(prefers-color-scheme:dark){:root{%DARK%}}*{box-sizing:border-box}
body{margin:0 auto;max-width:560px;padding:14px;background:var(--ground);color:var(--ink);
font:15px/1.4 system-ui,sans-serif}canvas{display:block;width:100%;border-radius:8px}
#plane{aspect-ratio:1;border:1px solid var(--line)}#curve{height:96px;margin-top:4px}
.row{display:flex;justify-content:space-between;align-items:center;gap:10px;margin:6px 0}
.faint{color:var(--faint);font-size:13px}
button{width:44px;height:44px;flex:none;border:0;border-radius:50%;background:var(--first);
color:var(--ground);font-size:17px;cursor:pointer}
input{flex:1;min-width:0;height:32px;accent-color:var(--first)}
:focus-visible{outline:3px solid var(--second);outline-offset:2px}
#when{font-weight:600;font-variant-numeric:tabular-nums}
#key{display:flex;flex-wrap:wrap;gap:2px 12px;justify-content:center}
#key i{display:inline-block;width:11px;height:11px;border-radius:50%;margin-right:5px}
</style></head><body><main>
<div class="row"><span id="when"></span><span id="loss" class="faint"></span></div>
<canvas id="plane" role="img" aria-label="Predictions over both features"></canvas>
<div class="row faint"><span id="across"></span><span id="up"></span></div>
<div class="row"><button id="play" aria-label="Play"></button>
<input id="at" type="range" min="0" value="0" aria-label="Frame"></div>
<canvas id="curve" role="img" aria-label="Loss by epoch"></canvas>
<div id="key" class="faint"></div>
<noscript>This page needs JavaScript.</noscript>
</main><script>
const D=%DATA%;
const $=id=>document.getElementById(id), N=D.epochs.length, S=D.size, K=D.classes, L=D.levels;
const HUES=["#2b6cd4","#d9622b","#2a9d6f","#b13fa0","#c79a12","#0f9bb0","#d43d51","#7458d6",
"#6d8f1f","#8a6d5a"];const rgb=h=>[1,3,5].map(i=>parseInt(h.slice(i,i+2),16));
const hue=k=>mix(rgb(HUES[k%10]),[128,128,128],.12*Math.floor(k/10));
const css=c=>`rgb(${c.map(Math.round)})`, mix=(a,b,t)=>a.map((v,i)=>v+(b[i]-v)*t);
const shade=name=>getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let F=[], at=0, timer=0;function ground(){return rgb(shade("--ground"))}
function between(v,base,most){return v<.5?mix(base,rgb(HUES[0]),(1-2*v)*most)
:mix(base,rgb(HUES[1]),(2*v-1)*most)}
function colour(b,base){if(K==1)return between(b/(L-1),base,.72);
const n=Math.floor(L/K),k=Math.min(K-1,Math.floor(b/n));
return mix(base,hue(k),.12+.55*(n>1?(b-k*n)/(n-1):1))}
function fit(canvas){const r=devicePixelRatio||1,w=canvas.clientWidth,h=canvas.clientHeight,
c=canvas.getContext("2d");
canvas.width=w*r;canvas.height=h*r;c.setTransform(r,0,0,r,0,0);return [c,w,h]}
function plane(){const [c,w]=fit($("plane")),f=F[at],base=ground(),small=new OffscreenCanvas(S,S),
s=small.getContext("2d"),image=s.createImageData(S,S),table=[...Array(L).keys()].map(b=>colour(b,base));
f.forEach((b,i)=>image.data.set([...table[b],255],4*i));
s.putImageData(image,0,0);c.imageSmoothingEnabled=true;c.imageSmoothingQuality="high";
c.drawImage(small,0,0,w,w);if(K==1&&D.two)contour(c,w/S,f);c.strokeStyle=K>1||D.two?css(base):shade("--ink");
c.lineWidth=1.2;
for(const [x,y,t] of D.points){c.beginPath();c.arc(x/1000*w,(1-y/1000)*w,w<420?3.2:4,0,7);
c.fillStyle=css(K==1?D.two?rgb(HUES[t>.5?1:0]):between(t,mix(base,[128,128,128],.25),1):hue(t));
c.fill();c.stroke()}}function contour(c,q,f){c.beginPath();
for(let i=0;i<S-1;i++)for(let j=0;j<S-1;j++){
const v=[f[i*S+j],f[i*S+j+1],f[i*S+S+j+1],f[i*S+S+j]].map(b=>b-(L-1)/2),e=[];
[[0,0],[1,0],[1,1],[0,1]].forEach(([x,y],k)=>{const m=(k+1)%4,t=v[k]/(v[k]-v[m]);
if(v[k]>0!=v[m]>0)e.push([j+.5+x+[t,0,-t,0][k],i+.5+y+[0,t,0,-t][k]])});
for(let k=0;k+1<e.length;k+=2){c.moveTo(e[k][0]*q,e[k][1]*q);c.lineTo(e[k+1][0]*q,e[k+1][1]*q)}}
c.strokeStyle=shade("--ink");c.lineWidth=1.6;c.lineCap="round";c.stroke()}
function curve(){const [c,w,h]=fit($("curve")),all=D.losses.flat().filter(v=>v!==null);
if(!all.length)return;const low=Math.min(...all),high=Math.max(...all),last=D.epochs[N-1]||1,
X=i=>8+D.epochs[i]/last*(w-16),Y=v=>h-10-(high>low?(v-low)/(high-low):.5)*(h-30);
c.strokeStyle=shade("--line");c.beginPath();c.moveTo(8,h-4.5);c.lineTo(w-8,h-4.5);
c.moveTo(X(at),18);c.lineTo(X(at),h-4);c.stroke();
["--first","--second"].forEach((name,which)=>{c.strokeStyle=c.fillStyle=shade(name);c.lineWidth=2;
c.setLineDash(which?[5,4]:[]);c.beginPath();let pen=0;
D.losses.forEach((l,i)=>{if(l[which]===null)pen=0;else{c[pen?"lineTo":"moveTo"](X(i),Y(l[which]));pen=1}});
c.stroke();c.setLineDash([]);const v=D.losses[at][which];
if(v!==null){c.beginPath();c.arc(X(at),Y(v),4.5,0,7);c.fill()}});
c.fillStyle=shade("--faint");c.font="12px system-ui,sans-serif";
const held=D.losses.some(l=>l[1]!==null);c.fillText(held?"loss, dashed: validation":"loss",8,12);
c.textAlign="right";c.fillText(`epoch ${last}`,w-8,12)}
function show(i){at=i;$("at").value=i;const e=D.epochs[i],[l,v]=D.losses[i];
$("when").textContent=e?`Epoch ${e}`:"Before training";
$("at").setAttribute("aria-valuetext",$("when").textContent);
$("loss").textContent=(l===null?"":`loss ${l.toPrecision(3)}`)
+(v===null?"":` · validation ${v.toPrecision(3)}`);plane();curve()}
function stop(){clearInterval(timer);timer=0;$("play").textContent="▶";
$("play").setAttribute("aria-label","Play")}
function play(){if(timer)return stop();if(at==N-1)show(0);
$("play").textContent="❚❚";$("play").setAttribute("aria-label","Pause");
timer=setInterval(()=>at<N-1?show(at+1):stop(),Math.min(400,Math.max(60,6000/N)))}
async function open(){const raw=Uint8Array.from(atob(D.images),c=>c.charCodeAt(0)),
stream=new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate")),
bytes=new Uint8Array(await new Response(stream).arrayBuffer());
for(let i=S*S;i<bytes.length;i++)bytes[i]+=bytes[i-S*S];
F=[...Array(N).keys()].map(i=>bytes.subarray(i*S*S,(i+1)*S*S));
const span=i=>`${D.names[i]}: ${D.range[0][i]} to ${D.range[1][i]}`;
$("across").textContent="→ "+span(0);$("up").textContent="↑ "+span(1);
const key=(c,t)=>{const s=document.createElement("span"),d=document.createElement("i");
d.style.background=css(c);s.append(d,t);$("key").append(s)};
if(K==1)D.ends.forEach((e,i)=>key(rgb(HUES[i]),String(e)));
else for(let k=0;k<Math.min(K,20);k++)key(hue(k),"class "+k);
$("at").max=N-1;$("at").oninput=()=>{stop();show(+$("at").value)};$("play").onclick=play;
document.onkeydown=e=>{if(e.key==" "&&e.target!=$("play")){e.preventDefault();play()}
else if(/^Arrow(Left|Right)$/.test(e.key)&&e.target!=$("at")){stop();
show(Math.max(0,Math.min(N-1,at+(e.key=="ArrowLeft"?-1:1))))}};
onresize=()=>show(at);matchMedia("(prefers-color-scheme: dark)").onchange=()=>show(at);
stop();const still=matchMedia("(prefers-reduced-motion: reduce)").matches;
show(still?N-1:0);if(!still)play()}open();
</script></body></html>
"""


def player(data: str) -> str:
    """Return the page that plays a film."""
    page = _PAGE.replace("%LIGHT%", LIGHT).replace("%DARK%", DARK)
    return page.replace("%DATA%", data.replace("<", "\\u003c"))
