"""A WebRTC stack that is no browser's: publishes the marker by WHIP, or plays by WHEP and reads what comes.

    peer.py publish URL CODEC   CODEC: H264 or VP8
    peer.py play URL

Says what happens as lines of JSON on its standard output, each with an `event`; leaves when its standard input ends.
The layout of the picture is that of src/marker/code.rs and picture.rs, the sound that of src/marker/sound.rs.
"""

import array
import asyncio
import fractions
import json
import math
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT, FPS = 640, 360, 30
CELL = WIDTH // 40
COLUMNS, ROWS = 38, 2
REFERENCE = [True, False, True, False]
BLACK, WHITE, NIGHT, FLASH_OFF = 16, 235, 32, 44
BARS = [180, 162, 131, 112, 84, 65, 35, 60]
CONTRAST_MIN = 60
RATE, PIECE = 48_000, 960
FLASH_PERIOD_S, FLASH_S = 2, 0.1
ASK_MAX_S = 10
LIST_MAX = 50


def say(event, **facts):
    print(json.dumps({"event": event, **facts}), flush=True)


def ask(method, url, body=None):
    """Status, headers and text of an answer, whatever its status. Asks the address itself, never a proxy."""
    headers = {"Content-Type": "application/sdp"} if body else {}
    request = urllib.request.Request(url, data=body and body.encode(), method=method, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ASK_MAX_S) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc


def cells(number, clock):
    said = (number & 0xFFFFFF).to_bytes(3, "big") + (clock & 0xFFFFFFFF).to_bytes(4, "big")
    data = said + crc16(said).to_bytes(2, "big")
    return REFERENCE + [bool(byte >> bit & 1) for byte in data for bit in range(7, -1, -1)]


def read(luma, stride, width):
    """The number of a frame; None without a whole code."""
    cell = width / 40

    def level(index):
        row, column = divmod(index, COLUMNS)
        return luma[int((row + 1.5) * cell) * stride + int((column + 1.5) * cell)]

    white, black = (level(0) + level(2)) / 2, (level(1) + level(3)) / 2
    if white - black < CONTRAST_MIN:
        return None
    bits = [level(len(REFERENCE) + bit) > (white + black) / 2 for bit in range(72)]
    data = bytes(sum(bit << 7 - place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, 72, 8))
    return int.from_bytes(data[:3], "big") if crc16(data[:7]) == int.from_bytes(data[7:], "big") else None


class Picture:
    """Draws one frame after the other; without colours."""

    def __init__(self):
        self.luma = bytearray([NIGHT]) * (WIDTH * HEIGHT)
        self.luma[: 4 * CELL * WIDTH] = bytes([BLACK]) * (4 * CELL * WIDTH)
        self.bars = b"".join(bytes([level]) * (WIDTH // len(BARS)) for level in BARS)

    def rows(self, first, count, row):
        self.luma[first * WIDTH : (first + count) * WIDTH] = row * count

    def frame(self, number, clock):
        white = cells(number, clock)
        for line in range(ROWS):
            row = bytearray([BLACK]) * WIDTH
            for column in range(COLUMNS):
                if white[line * COLUMNS + column]:
                    row[(1 + column) * CELL : (2 + column) * CELL] = bytes([WHITE]) * CELL
            self.rows((1 + line) * CELL, CELL, row)
        shift = 4 * number % WIDTH
        self.rows(17 * CELL, 5 * CELL, self.bars[-shift:] + self.bars[:-shift] if shift else self.bars)
        phase = number % (FLASH_PERIOD_S * FPS) - FPS
        level = WHITE if 0 <= phase < math.ceil(FLASH_S * FPS) else FLASH_OFF
        flash = bytearray([NIGHT]) * WIDTH
        flash[26 * CELL : 38 * CELL] = bytes([level]) * (12 * CELL)
        self.rows(5 * CELL, 8 * CELL, flash)
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        frame.planes[0].update(bytes(self.luma))
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        return frame


def beeps():
    """One period of the sound, as 16-bit samples."""
    period = array.array("h", bytes(2 * FLASH_PERIOD_S * RATE))
    for index in range(int(FLASH_S * RATE)):
        seconds = index / RATE
        slope = min(seconds / 0.001, (FLASH_S - seconds) / 0.001, 1)
        period[RATE + index] = int(0.5 * slope * math.sin(math.tau * 1_000 * seconds) * 32_767)
    return period.tobytes()


class Clock:
    """Picture and sound begin together, when the first of both is asked for."""

    origin = None

    async def wait(self, seconds):
        if self.origin is None:
            self.origin = time.monotonic()
        await asyncio.sleep(max(0, self.origin + seconds - time.monotonic()))


class Camera(MediaStreamTrack):
    kind = "video"

    def __init__(self, clock):
        super().__init__()
        self.clock, self.picture, self.number = clock, Picture(), 0

    async def recv(self):
        number, self.number = self.number, self.number + 1
        await self.clock.wait(number / FPS)
        frame = self.picture.frame(number, time.time_ns() // 1_000_000)
        frame.pts, frame.time_base = number * 90_000 // FPS, fractions.Fraction(1, 90_000)
        return frame


class Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self, clock):
        super().__init__()
        self.clock, self.period, self.sample = clock, beeps(), 0

    async def recv(self):
        first, self.sample = self.sample, self.sample + PIECE
        await self.clock.wait(self.sample / RATE)
        frame = AudioFrame(format="s16", layout="mono", samples=PIECE)
        at = 2 * first % len(self.period)
        frame.planes[0].update(self.period[at : at + 2 * PIECE])
        frame.pts, frame.sample_rate, frame.time_base = first, RATE, fractions.Fraction(1, RATE)
        return frame


class Viewer:
    """Counts what comes and reads the numbers of the frames."""

    def __init__(self):
        self.frames = self.sounds = self.unreadable = 0
        self.numbers = set()
        self.size = None

    async def follow(self, track):
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if track.kind == "audio":
                self.sounds += 1
                continue
            self.frames += 1
            self.size = [frame.width, frame.height]
            plane = frame.planes[0]
            number = read(memoryview(plane), plane.line_size, frame.width)
            if number is None:
                self.unreadable += 1
            else:
                self.numbers.add(number)

    def facts(self):
        first, last = (min(self.numbers), max(self.numbers)) if self.numbers else (None, None)
        missing = [number for number in range(first, last) if number not in self.numbers] if self.numbers else []
        return {
            "frames": self.frames,
            "unreadable": self.unreadable,
            "seen": len(self.numbers),
            "first": first,
            "last": last,
            "missing": missing[:LIST_MAX],
            "sounds": self.sounds,
            "size": self.size,
        }


async def exchange(peer, url):
    """Offers; None when that was refused, else where the session is from now on."""
    await peer.setLocalDescription(await peer.createOffer())
    status, headers, text = await asyncio.to_thread(ask, "POST", url, peer.localDescription.sdp)
    if status != 201:
        say("refused", status=status, text=text)
        return None
    await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
    return urllib.parse.urljoin(url, headers["Location"])


async def main(task, url, codec=None):
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    viewer = Viewer()
    following = []
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    @peer.on("connectionstatechange")
    def changed():
        say("state", state=peer.connectionState)
        if peer.connectionState in ("failed", "closed"):
            over.set()

    @peer.on("track")
    def track_came(track):
        following.append(asyncio.ensure_future(viewer.follow(track)))

    if task == "publish":
        clock = Clock()
        peer.addTransceiver(Microphone(clock), direction="sendonly")
        picture = peer.addTransceiver(Camera(clock), direction="sendonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        picture.setCodecPreferences([one for one in known if one.name in (codec, "rtx")])
    else:
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")

    place = await exchange(peer, url)
    if place is None:
        return await peer.close()

    def wait_for_the_end():
        sys.stdin.read()
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await over.wait()
    status, _, _ = await asyncio.to_thread(ask, "DELETE", place)
    await peer.close()
    await asyncio.gather(*following, return_exceptions=True)
    say("left", status=status, **viewer.facts())


asyncio.run(main(*sys.argv[1:]))
