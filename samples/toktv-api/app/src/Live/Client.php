<?php

declare(strict_types=1);

namespace Toktv\Live;

/** One open WebSocket: converts bytes to messages, and messages to bytes. */
final class Client
{
    /** The maximum number of bytes that wait for a slow client. */
    private const int BACKLOG = 262144;
    private const int LONGEST_MESSAGE = 8192;
    /** Seconds of silence until a client gets a ping, and until its connection is closed. */
    private const int ASK_AFTER = 25;
    private const int GIVE_UP_AFTER = 60;

    private string $incoming = '';
    private string $outgoing = '';
    /** The fragments of an unfinished message; null between messages. */
    private ?string $message = null;
    private bool $closing = false;
    private int $heard;
    private bool $asked = false;

    /**
     * @param resource $stream a stream that does not block
     * @param ?string $name the name of a client that may speak; null for one that only listens
     */
    public function __construct(
        public readonly mixed $stream,
        public readonly string $room,
        public readonly ?string $name,
    ) {
        $this->heard = time();
    }

    /**
     * Reads the bytes that have arrived.
     *
     * @return list<string> the messages that are complete now
     */
    public function receive(): array
    {
        $bytes = fread($this->stream, 65536);
        if ($bytes === false || $bytes === '') {
            $this->drop();
            return [];
        }
        $this->heard = time();
        $this->asked = false;
        $this->incoming = $this->closing ? '' : $this->incoming . $bytes;
        $messages = [];
        try {
            while (!$this->closing && ($frame = Frame::take($this->incoming)) !== null) {
                $message = $this->handle($frame);
                if ($message !== null) {
                    $messages[] = $message;
                }
            }
        } catch (ProtocolError $error) {
            $this->close($error->getCode());
        }

        return $messages;
    }

    public function send(string $message): void
    {
        $this->queue(new Frame(Frame::TEXT, $message));
    }

    /** Sends a ping to a silent client, and closes the connection if no answer comes. */
    public function check(): void
    {
        $silence = time() - $this->heard;
        if ($silence > self::GIVE_UP_AFTER) {
            $this->drop();
        } elseif ($silence > self::ASK_AFTER && !$this->asked) {
            $this->asked = true;
            $this->queue(new Frame(Frame::PING));
        }
    }

    /** Sends a closing frame; the connection ends once it has been sent. */
    public function close(int $code): void
    {
        $this->queue(Frame::closing($code));
        $this->closing = true;
    }

    public function hasToSend(): bool
    {
        return $this->outgoing !== '';
    }

    public function isOver(): bool
    {
        return $this->closing && $this->outgoing === '';
    }

    /** Sends as much as the connection accepts now. */
    public function flush(): void
    {
        $sent = @fwrite($this->stream, $this->outgoing);
        if ($sent === false) {
            $this->drop();
        } else {
            $this->outgoing = substr($this->outgoing, $sent);
        }
    }

    /**
     * @return ?string a message that this frame completes
     * @throws ProtocolError
     */
    private function handle(Frame $frame): ?string
    {
        switch ($frame->opcode) {
            case Frame::TEXT:
            case Frame::CONTINUATION:
                return $this->assemble($frame);
            case Frame::PING:
                $this->queue(new Frame(Frame::PONG, $frame->payload));
                return null;
            case Frame::PONG:
                return null;
            case Frame::CLOSE:
                $this->close(1000);
                return null;
            default:
                throw new ProtocolError(ProtocolError::NOT_TEXT, 'only text is understood');
        }
    }

    /** @throws ProtocolError */
    private function assemble(Frame $frame): ?string
    {
        if (($frame->opcode === Frame::CONTINUATION) !== ($this->message !== null)) {
            throw new ProtocolError(ProtocolError::WRONG_FRAME, 'fragments out of order');
        }
        $message = $this->message . $frame->payload;
        if (strlen($message) > self::LONGEST_MESSAGE) {
            throw new ProtocolError(ProtocolError::TOO_LONG, 'the fragments are too long together');
        }
        $this->message = $frame->final ? null : $message;

        return $frame->final ? $message : null;
    }

    private function drop(): void
    {
        $this->closing = true;
        $this->outgoing = '';
    }

    private function queue(Frame $frame): void
    {
        if ($this->closing) {
            return;
        }
        $this->outgoing .= $frame->encode();
        if (strlen($this->outgoing) > self::BACKLOG) {
            $this->drop();
        }
    }
}
